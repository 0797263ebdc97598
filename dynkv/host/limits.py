"""What this process may open."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

_ENOUGH_FILES = 65536


def raise_open_files() -> int:
    """Raise the soft limit as far as it may be and makes sense; what it is now. It never fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # then it is as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def descriptors_left() -> int:
    """How many files this process may open yet; 0 if not even that can be seen."""
    try:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError:
        return 0
