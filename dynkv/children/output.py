"""Log files that children write to directly, so that a dead supervisor never breaks their output."""

from __future__ import annotations

import os
from pathlib import Path

_TAIL_BYTES = 64 * 1024


def open_log(path: Path) -> int:
    """A descriptor for a child's stdout and stderr; O_APPEND, so that truncation from outside is safe."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def tail(path: Path, lines: int, since_byte: int = 0) -> list[str]:
    """The last lines of a log, from `since_byte` on at the most; empty when there is no such file."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            start = max(end - _TAIL_BYTES, since_byte if since_byte <= end else 0)
            log.seek(start)
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
