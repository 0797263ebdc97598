"""A unit's log with the copies that rotation made of it: read from its end, and followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_BLOCK_BYTES = 1024 * 1024
_REMEMBERED_BYTES = 512


def with_copies(path: Path) -> list[Path]:
    """The log and its copies, the newest first."""
    copies = [copy for copy in path.parent.glob(f"{path.name}.*") if copy.suffix[1:].isdigit()]
    return [path, *sorted(copies, key=lambda copy: int(copy.suffix[1:]))]


def blocks_backward(path: Path) -> Iterator[list[str]]:
    """Lines in blocks of about a megabyte, the last block first; through the copies too. A file that is gone is
    empty."""
    for file in with_copies(path):
        with suppress(FileNotFoundError), file.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            while end > 0:
                start = _line_start(log.fileno(), max(0, end - _BLOCK_BYTES), end)
                yield _lines(os.pread(log.fileno(), end - start, start))
                end = start


def _line_start(fd: int, at: int, end: int) -> int:
    """The first start of a line from `at` on; `at` itself where none begins before `end`."""
    if at == 0:
        return 0
    newline = os.pread(fd, end - at, at).find(b"\n", 0, end - at - 1)
    return at if newline < 0 else at + newline + 1


class Follower:
    """What is written to a log from now on; it goes on in the new file when the log is copied and emptied."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = _size(path)
        self._last = _end_of(path, self._at)

    def new_lines(self) -> list[str]:
        """Whole lines that have come since the last call."""
        raw = b""
        if _size(self._path) < self._at:
            raw, self._at = self._rest_in_copy(), 0
        with suppress(FileNotFoundError), self._path.open("rb") as log:
            log.seek(self._at)
            new = log.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._at += len(whole)
            raw += whole
        self._last = (self._last + raw)[-_REMEMBERED_BYTES:]
        return _lines(raw)

    def _rest_in_copy(self) -> bytes:
        """What came between our last look and the copy: all that follows there on what we have seen last."""
        copy = self._path.with_name(f"{self._path.name}.1")
        end = _end_of(copy, _size(copy), _BLOCK_BYTES)
        found = end.rfind(self._last) if self._last else -1
        return end[found + len(self._last) :] if found >= 0 else b""


def _end_of(path: Path, end: int, count: int = _REMEMBERED_BYTES) -> bytes:
    with suppress(FileNotFoundError), path.open("rb") as log:
        log.seek(max(0, end - count))
        return log.read(min(end, count))
    return b""


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _lines(raw: bytes) -> list[str]:
    return [line for line in raw.decode(errors="replace").splitlines() if line.strip()]
