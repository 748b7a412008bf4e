"""Definitions -> runner -> stored rows -> report: what `openrek bench` is made of."""
