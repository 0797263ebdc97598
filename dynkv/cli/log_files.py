"""A unit's log and its rotated copies: reading from the end, and following."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dynkv.owned import NotOwn, open_own

_BLOCK_BYTES = 1024 * 1024
_REMEMBERED_BYTES = 512
_NUMBER = re.compile(r"\.[0-9]{1,9}")
_LINE_MAX = 64 * 1024


def with_copies(path: Path) -> list[Path]:
    """The log and its copies, the newest first."""
    copies = [copy for copy in path.parent.glob(f"{path.name}.*") if _NUMBER.fullmatch(copy.suffix)]
    return [path, *sorted(copies, key=lambda copy: int(copy.suffix[1:]))]


def blocks_backward(path: Path) -> Iterator[list[str]]:
    """Lines in blocks of about a megabyte, the last block first, through the copies too. Missing files, files of
    others and holes are empty."""
    for file in with_copies(path):
        with suppress(FileNotFoundError, NotOwn), _opened(file) as log:
            end = log.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - _BLOCK_BYTES)
                if not _is_hole(log.fileno(), start, end):
                    start = _line_start(log.fileno(), start, end)
                    yield _lines(os.pread(log.fileno(), end - start, start))
                end = start


def whole_lines(path: Path) -> Iterator[bytes]:
    """All current lines in order, without lines longer than a megabyte and without holes. Raises OSError: NotOwn for
    a file that is not this user's."""
    with _opened(path) as file:
        end, at, rest = os.fstat(file.fileno()).st_size, 0, b""
        while at < end:
            if _is_hole(file.fileno(), at, min(end, at + _BLOCK_BYTES)):
                at, rest = at + _BLOCK_BYTES, b""
                continue
            block = os.pread(file.fileno(), min(_BLOCK_BYTES, end - at), at)
            if not block:  # it was truncated meanwhile
                return
            at += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
            rest = rest if len(rest) <= _BLOCK_BYTES else b""
        yield rest


def _opened(file: Path) -> BinaryIO:
    return os.fdopen(open_own(file, os.O_RDONLY), "rb")


def _is_hole(fd: int, start: int, end: int) -> bool:
    """Whether the range was never written: a sparse file may be larger than the disk. Source: lseek(2)."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA) >= end
    except OSError as error:
        return error.errno == errno.ENXIO


def _line_start(fd: int, at: int, end: int) -> int:
    """The first start of a line from `at` on; `at` itself if none begins before `end`."""
    if at == 0:
        return 0
    newline = os.pread(fd, end - at, at).find(b"\n", 0, end - at - 1)
    return at if newline < 0 else at + newline + 1


class Follower:
    """New content of a log, continued in the new file after the log is copied and truncated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = _size(path)
        self._last = _end_of(path, self._at)

    def new_lines(self) -> list[str]:
        """Whole lines since the last call; only the first megabyte of more, and only a part of a long line."""
        raw = b""
        if _size(self._path) < self._at:
            raw, self._at = self._rest_in_copy(), 0
        with suppress(FileNotFoundError, NotOwn), _opened(self._path) as log:
            log.seek(self._at)
            new = log.read(_BLOCK_BYTES)
            whole = new if len(new) == _BLOCK_BYTES and b"\n" not in new else new[: new.rfind(b"\n") + 1]
            self._at += len(whole)
            raw += whole
        self._last = (self._last + raw)[-_REMEMBERED_BYTES:]
        return _lines(raw)

    def _rest_in_copy(self) -> bytes:
        """What was written between our last look and the copy: everything there after the last bytes that we saw."""
        copy = self._path.with_name(f"{self._path.name}.1")
        end = _end_of(copy, _size(copy), _BLOCK_BYTES)
        found = end.rfind(self._last) if self._last else -1
        return end[found + len(self._last) :] if found >= 0 else b""


def _end_of(path: Path, end: int, count: int = _REMEMBERED_BYTES) -> bytes:
    with suppress(FileNotFoundError, NotOwn), _opened(path) as log:
        log.seek(max(0, end - count))
        return log.read(min(end, count))
    return b""


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _lines(raw: bytes) -> list[str]:
    """Lines, each cut to a readable length."""
    lines = raw.decode(errors="replace").splitlines()
    return [line if len(line) <= _LINE_MAX else f"{line[:_LINE_MAX]}…" for line in lines if line.strip().strip("\0")]
