"""One request to a supervisor and its reply, over a Unix socket. Written by hand: http.client takes 20 ms to import.

Uses HTTP/1.0, so that the reply is not chunked and ends with the connection. Source: RFC 1945; for the length, RFC
9112.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dynkv.owned import is_own_peer
from dynkv.short_paths import address

TYPE_CHECKING = False  # the quick status does without importing typing
if TYPE_CHECKING:
    from typing import BinaryIO

_LENGTH = b"content-length"
_READ_BYTES = 64 * 1024
_DIGITS = 3
"""Digits of a status code."""


def exchange(path: str | os.PathLike[str], timeout_s: float, method: str, target: str) -> tuple[int, bytes]:
    """Status and body of the reply.

    Raises OSError: TimeoutError if it is not complete within `timeout_s`, ConnectionError if it was cut short.
    """
    end = time.monotonic() + timeout_s
    with _connected(path, timeout_s) as connection:
        connection.sendall(request(method, target))
        stream = io.BytesIO(b"".join(_pieces(connection, end)))
    status, headers = receive_head(stream)
    body = stream.read()
    if headers.get(_LENGTH, b"%d" % len(body)) != b"%d" % len(body):
        raise ConnectionError("the reply was cut short")
    return status, body


def request(method: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The request as sent."""
    lines = [f"{method} {target} HTTP/1.0", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@contextmanager
def opened(
    path: str | os.PathLike[str], method: str, target: str, headers: Mapping[str, str] | None = None
) -> Iterator[BinaryIO]:
    """The stream of the reply to a request that has been sent, however long the reply takes."""
    with _connected(path, None) as connection:
        connection.sendall(request(method, target, headers))
        with connection.makefile("rb") as stream:
            yield stream


def receive_head(stream: BinaryIO) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers, with names in lower case. Raises ConnectionError if the head is incomplete."""
    words = stream.readline().split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not (words[1].isdigit() and len(words[1]) == _DIGITS):
        raise ConnectionError("closed without an answer" if not words else "the answer is not HTTP")
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        if not line:
            raise ConnectionError("the reply was cut short")
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return int(words[1]), headers


@contextmanager
def _connected(path: str | os.PathLike[str], timeout_s: float | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connect(connection, path)
        yield connection


def connect(connection: socket.socket, path: str | os.PathLike[str]) -> None:
    """Connect. Raises OSError: ConnectionError if another user listens, whose answers are not trusted, or if a link
    leads to another socket."""
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise ConnectionError("it is a symbolic link")
    with address(path) as short:
        connection.connect(short)
    if not is_own_peer(connection):
        raise ConnectionError("another user listens there")


def _pieces(connection: socket.socket, end: float) -> Iterator[bytes]:
    """Pieces up to the end of the reply; each gets only the time that is left, so that a trickling reply is late
    too."""
    while True:
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        piece = connection.recv(_READ_BYTES)
        if not piece:
            return
        yield piece
