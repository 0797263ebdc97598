"""The number of files that a process may open."""

from __future__ import annotations

import resource
from contextlib import suppress

from dynkv.host.files import names_in

_ENOUGH_FILES = 65536


def open_files_max() -> int:
    """What a supervisor and its children may have open, once the soft limit has been raised as far as makes sense."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    return wanted if soft == resource.RLIM_INFINITY else max(soft, wanted)


def raise_open_files() -> None:
    """Raise the soft limit. Never fails: if not permitted, the limit stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files_max(), hard))


def descriptors_left() -> int:
    """How many more files this process may open; 0 if that cannot be determined."""
    return max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(names_in("/proc/self/fd")))
