"""Measurements that anyone can run again: each module is a command with --help."""
