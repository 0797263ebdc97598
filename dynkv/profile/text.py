"""Reading a profile's file: text of bounded length, within bounded time."""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

from dynkv.errors import ProfileError

MAX_BYTES = 256 * 1024
_WRITER_S, _PIPE_S = 1.0, 5.0
"""Seconds until somebody opens the other end of a pipe, and until all has come through it."""
_PIECE_BYTES = 64 * 1024


def read_text(path: Path) -> str:
    """The text of a file or of a shell's substitute for one (`<(…)`, `/dev/stdin`). Raises ProfileError."""
    try:
        raw = _read(path)
    except OSError as error:
        raise ProfileError(f"cannot read {path}: {error.strerror or error}", hint="give a readable YAML file") from None
    except _NoProfile as why:
        raise ProfileError(f"{path} {why}", hint="give a YAML file") from None
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        where = f"{path}:{raw.count(10, 0, error.start) + 1}"
        raise ProfileError(
            f"cannot read {path}: it is not valid UTF-8", where=where, hint="save the file as UTF-8"
        ) from None


class _NoProfile(Exception):
    """The path cannot be a profile; the error's text continues after the path."""


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise _NoProfile("is a directory")
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise _NoProfile("is a device, which has no end")
        return _to_the_end(fd, is_pipe=stat.S_ISFIFO(mode))
    finally:
        os.close(fd)


def _to_the_end(fd: int, *, is_pipe: bool) -> bytes:
    deadline = time.monotonic() + _PIPE_S
    if is_pipe:
        select.select([fd], [], [], _WRITER_S)  # the writer's open() waits until there is a reader
    read = bytearray()
    while len(read) <= MAX_BYTES:
        if (left_s := deadline - time.monotonic()) <= 0:
            raise _NoProfile(f"did not end within {_PIPE_S:g} s")
        try:
            piece = os.read(fd, _PIECE_BYTES)
        except BlockingIOError:
            select.select([fd], [], [], left_s)
            continue
        if not piece:
            if is_pipe and not read:
                raise _NoProfile("is a pipe that nobody writes to")
            return bytes(read)
        read += piece
    raise _NoProfile(f"is longer than {MAX_BYTES // 1024} KiB")
