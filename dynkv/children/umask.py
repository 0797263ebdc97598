"""The file mode creation mask of children: the person's, not the supervisor's own. Source: umask(2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_OWNER = 0o700
_mask: int | None = None


def let_children_have(mask: int) -> None:
    """Set it from now on, except for bits that would keep a child from using its own files."""
    global _mask
    _mask = mask & ~_OF_THE_OWNER


@contextmanager
def umask_of_children() -> Iterator[None]:
    """Set the children's mask while one is started: it inherits this process's mask."""
    if _mask is None:
        yield
        return
    own = os.umask(_mask)
    try:
        yield
    finally:
        os.umask(own)
