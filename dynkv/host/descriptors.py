"""What this process has open by inheritance."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

from dynkv.host.files import names_in


def part_with_descriptors(needed: Collection[int]) -> None:
    """What was inherited, from a shell say, is no business of this process or a child, beyond the three streams."""
    for fd in map(int, names_in("/proc/self/fd")):
        with suppress(OSError):  # the one that listed them is closed by now
            if fd > 2 and os.get_inheritable(fd):
                if fd in needed:
                    os.set_inheritable(fd, False)
                else:
                    os.close(fd)
