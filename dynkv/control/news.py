"""Learning that a supervisor has recorded an event: a reason to look again, instead of a sleep."""

from __future__ import annotations

import os
import select
import socket
import time
from types import TracebackType
from typing import Self

from dynkv.control.exchange import connect, request

_READ_BYTES = 64 * 1024
_AGAIN_S = 1.0
"""Seconds before an ended stream is requested again: its supervisor is exiting, or lacks the route."""


class News:
    """The stream of events, of which only the arrival matters. Earlier events count too, so that nothing is missed
    between a look and the stream's beginning."""

    def __init__(self, socket_path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(socket_path)
        self._stream: socket.socket | None = None
        self._next_try = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def wait(self, limit_s: float) -> bool:
        """Wait; whether something was recorded. Without a stream this is only a pause, and the end of a stream cuts
        it short."""
        stream = self._stream or self._open()
        if stream is None:
            time.sleep(limit_s)
            return False
        readable, _, _ = select.select([stream], [], [], limit_s)
        if not readable:
            return False
        if _drain(stream):
            return True
        self._close()
        return False

    def _open(self) -> socket.socket | None:
        if time.monotonic() < self._next_try:
            return None
        self._next_try = time.monotonic() + _AGAIN_S
        try:
            self._stream = _asked_for(self._path)
        except OSError:  # nothing listens there or accepts us; or we have no descriptor left
            return None
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


def _asked_for(path: str) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connect(stream, path)
        stream.send(request("GET", "/v1/events"))
    except OSError:
        stream.close()
        raise
    return stream


def _drain(stream: socket.socket) -> bool:
    """Whether anything came; all of it is read, so that a burst is one reason to look and not many."""
    came = False
    try:
        while stream.recv(_READ_BYTES):
            came = True
    except OSError:  # nothing more for now; or it broke off, which the next look will show
        pass
    return came
