"""The file mode creation mask of children: that of the person, and not the supervisor's own. Source: umask(2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_OWNER = 0o700
_mask: int | None = None


def let_children_have(mask: int) -> None:
    """From now on; but for what it takes from the owner, without which a child could not use what it makes itself."""
    global _mask
    _mask = mask & ~_OF_THE_OWNER


@contextmanager
def umask_of_children() -> Iterator[None]:
    """While one is started: it inherits this process's mask."""
    if _mask is None:
        yield
        return
    own = os.umask(_mask)
    try:
        yield
    finally:
        os.umask(own)
