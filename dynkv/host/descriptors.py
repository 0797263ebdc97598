"""Descriptors that this process has inherited."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

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
