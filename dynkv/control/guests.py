"""Which clients a supervisor serves, and how many at once: few enough to leave what it needs for its units."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from dynkv.host.limits import descriptors_left

_MOST = 256
_SHARE = 8
"""One descriptor in this many may be a client's."""
_FEW, _SCARCE = 2, 32
"""How many clients there may be when there are hardly any descriptors left."""


class Guest:
    """One client's connection. It closes when its `scope` is cancelled."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.has_asked = False
        """Whether its request is complete."""


class Guests:
    """All current clients, the oldest first."""

    def __init__(self) -> None:
        self._here: dict[Guest, None] = {}

    @contextmanager
    def attending(self, guest: Guest) -> Iterator[None]:
        """Count the guest while the block lasts, which it may not for long if many others come."""
        self._here[guest] = None
        self._make_room()
        try:
            with guest.scope:
                yield
        finally:
            self._here.pop(guest, None)

    def _make_room(self) -> None:
        """Disconnect the client that has waited longest without a request, or else the one that has been reading
        longest."""
        too_many = max(0, len(self._here) - _room())
        *others, _ = self._here
        for guest in sorted(others, key=lambda it: it.has_asked)[:too_many]:
            del self._here[guest]
            guest.scope.cancel()


def _room() -> int:
    if descriptors_left() < _SCARCE:
        return _FEW
    return max(_FEW, min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE))
