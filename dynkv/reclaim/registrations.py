"""The ids under which a worker has registered itself at the LMCache server: only its log has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dynkv.children.lines import read_lines
from dynkv.children.output import copies_of, size_of
from dynkv.owned import open_own

_PIECE_BYTES = 1024**2
_MOST_BYTES = 64 * 1024**2
"""Most bytes of a log to read: a worker registers early, and something that is not a log may be endless."""
_LINE_MAX_BYTES = 4096
_CREATED = re.compile(rb"adapter created with instance_id=(\d+)\b")
_CLOCK_SLACK_S = 1.0
Registrations = frozenset[str]


def registrations_in(log: Path, since_byte: int, started_at: float | None = None) -> Registrations:
    """Ids of one incarnation, one for each rank. They never change, so callers may remember them.

    It began at `since_byte` of its log, and `started_at`, in seconds since 1970. Once the log was rotated, its
    beginning is in a copy, and the byte is meaningless: then lines since the start time count. Without a time, the
    newest file with any ids counts: all ranks register within moments.

    Source: lmcache 0.5.2 and 0.5.6, vllm_multi_process_adapter.py.
    """
    copies = copies_of(log)
    if size_of(log) >= since_byte and not any(_is_newer(copy, started_at) for copy in copies[:1]):
        return frozenset(id for _, id in _named_in(log, since_byte))
    if started_at is None:
        named = (frozenset(id for _, id in _named_in(file)) for file in (log, *copies))
        return next((ids for ids in named if ids), frozenset())
    files = (log, *(copy for copy in copies if _is_newer(copy, started_at)))
    return frozenset(id for file in files for line, id in _named_in(file) if _is_since(line, started_at))


def _is_newer(copy: Path, started_at: float | None) -> bool:
    """Whether the log was rotated since then."""
    try:
        return started_at is not None and copy.stat().st_mtime >= started_at
    except OSError:
        return False


def _is_since(line: str, started_at: float) -> bool:
    """Whether the line is from after the start, or has no time."""
    [read] = read_lines([line], datetime.now(UTC).astimezone())
    return read.at is None or read.at.timestamp() >= started_at - _CLOCK_SLACK_S


def _named_in(file: Path, since_byte: int = 0) -> Iterator[tuple[str, str]]:
    """Each id, with the text before it. A log may be larger than memory."""
    try:
        with os.fdopen(open_own(file, os.O_RDONLY), "rb") as log:
            log.seek(since_byte)
            rest, left = b"", _MOST_BYTES
            while left > 0 and (piece := log.read(_PIECE_BYTES)):
                left -= len(piece)
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                rest = rest if newline else rest[-_LINE_MAX_BYTES:]
                for found in _CREATED.finditer(whole):
                    line = whole[whole.rfind(b"\n", 0, found.start()) + 1 : found.end()]
                    yield line.decode(errors="replace"), found[1].decode()
    except OSError:
        return
