"""Descriptors: those that this process has inherited, and of files without a name."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dynkv.host.files import names_in


def part_with_descriptors(needed: Collection[int]) -> None:
    """Close inherited descriptors, for example a shell's: besides the three streams, neither this process nor a
    child needs them."""
    for fd in map(int, names_in("/proc/self/fd")):
        with suppress(OSError):  # the one used for listing is closed by now
            if fd > 2 and os.get_inheritable(fd):
                if fd in needed:
                    os.set_inheritable(fd, False)
                else:
                    os.close(fd)


def unnamed_file(content: bytes, directory: Path) -> int:
    """A descriptor of a file with that content and without a name: in memory, or in `directory` on a host that has no
    memfd_create(2). It is read from its beginning with `seek(0)`. Raises OSError."""
    try:
        fd = os.memfd_create("dynkv")
    except OSError:
        import tempfile

        with tempfile.TemporaryFile(dir=directory) as file:
            fd = os.dup(file.fileno())
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)
    except OSError:
        os.close(fd)
        raise
    return fd
