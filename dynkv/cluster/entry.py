"""One key in etcd. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value."""

    key: str
    value: bytes
    lease: int
    """0 if it stays until it is removed."""
    created: int
    """etcd's revision at its creation; later ones are higher."""
