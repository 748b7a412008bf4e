"""The owner of data: the first key of every row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tenant:
    """One account (12 digits) in one region; names are unique within it and nothing crosses it."""

    account: str
    region: str
