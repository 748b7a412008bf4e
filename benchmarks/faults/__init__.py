"""Kills, broken requests and broken pictures."""
