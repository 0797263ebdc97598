"""One key in etcd. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, with what stands under it."""

    key: str
    value: bytes
    lease: int
    """0 where it stays until somebody removes it."""
    created: int
    """The revision of etcd in which it came; later ones are higher."""
