"""One key in etcd. Pure."""

from __future__ import annotations

from msgspec import Struct


class Entry(Struct, frozen=True):
    """A key and its value."""

    key: str
    value: bytes
    lease: int
    """0 if it stays until it is removed."""
    created: int
    """etcd's revision at its creation; later ones are higher."""
