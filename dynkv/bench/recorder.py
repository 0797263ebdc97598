"""Recording: the frontend's records of its requests are read as they come, and written to a trace without their
identity.

The salt is only in this process. The frontend's own records stay in the deployment's directory, which only its user may
enter, until the supervisor empties the file or the frontend ends.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from dynkv.bench.recording import Recorded, recorded
from dynkv.bench.trace import REQUESTS_MAX, head_of, line_of
from dynkv.owned import NotOwn, open_own

_SALT_BYTES = 32
_READ_BYTES = 1024 * 1024
_LINE_MAX = 64 * 1024 * 1024


class Followed:
    """Whole lines of a file from its present end on, even if it is truncated or replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._rest = b""
        self._open()
        if self._fd is not None:
            os.lseek(self._fd, 0, os.SEEK_END)

    def lines(self) -> Iterator[bytes]:
        """Lines since the last call."""
        yield from self._new()
        if self._is_another():
            self.close()
            self._open()
            yield from self._new()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._rest = None, b""

    def _open(self) -> None:
        with suppress(FileNotFoundError, NotOwn):
            self._fd = open_own(self._path, os.O_RDONLY)

    def _new(self) -> Iterator[bytes]:
        if self._fd is None:
            return
        if os.fstat(self._fd).st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._rest = b""
        while block := os.read(self._fd, _READ_BYTES):
            *lines, self._rest = (self._rest + block).split(b"\n")
            yield from lines
            if len(self._rest) > _LINE_MAX:
                self._rest = b""

    def _is_another(self) -> bool:
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        return self._fd is None or not os.path.samestat(there, os.fstat(self._fd))


class Passed(Struct):
    """What was not recorded."""

    without_blocks: int = 0
    """Lines without a prompt's blocks."""
    other_blocks: int = 0
    """Requests after the frontend restarted with another block size."""


class Recorder:
    """Writes a trace, each line as it comes. Its file is new, and only its owner can read it.

    Raises OSError if it cannot be written, FileExistsError if it exists.
    """

    def __init__(self, source: Path, file: Path, since_ms: float) -> None:
        """Requests that ended before `since_ms`, by the wall clock, are skipped."""
        self._source = Followed(source)
        self._since_ms = since_ms
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._file = file
        self._fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._block_tokens: int | None = None
        self.requests = 0
        self.passed = Passed()

    @property
    def is_full(self) -> bool:
        return self.requests >= REQUESTS_MAX

    def take(self) -> None:
        """Record what has come."""
        for line in self._source.lines():
            found = recorded(line, self._salt)
            if found is None:
                self.passed.without_blocks += 1
            elif found.ended_at_ms >= self._since_ms and not self.is_full:
                self._note(found)

    def close(self) -> None:
        """Close the trace; an empty one is removed."""
        self._source.close()
        os.close(self._fd)
        if not self.requests:
            self._file.unlink(missing_ok=True)

    def _note(self, found: Recorded) -> None:
        if self._block_tokens is None:
            self._block_tokens = found.block_tokens
            self._write(head_of(found.block_tokens))
        if found.block_tokens != self._block_tokens:
            self.passed.other_blocks += 1
            return
        self._write(line_of(found.request))
        self.requests += 1

    def _write(self, line: str) -> None:
        """Write a line completely, or nothing on a full disk."""
        end, left = os.lseek(self._fd, 0, os.SEEK_CUR), line.encode()
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            os.ftruncate(self._fd, end)
            raise
