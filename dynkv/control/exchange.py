"""One request to a supervisor and its reply, over a Unix socket. By hand: http.client alone takes 20 ms to import.

HTTP/1.0, so that the reply comes unchunked and ends with the connection. Source: RFC 1945; for the length, RFC 9112.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader

_LENGTH = b"content-length"


def exchange(path: str | os.PathLike[str], timeout_s: float, method: str, target: str) -> tuple[int, bytes]:
    """The reply's status and body.

    Raises OSError: TimeoutError when nothing came for `timeout_s`, ConnectionError for a reply that was cut short.
    """
    with opened(path, timeout_s, method, target) as stream:
        status, headers = receive_head(stream)
        body = stream.read()
    if len(body) != int(headers.get(_LENGTH, len(body))):
        raise ConnectionError("the reply was cut short")
    return status, body


@contextmanager
def opened(
    path: str | os.PathLike[str],
    timeout_s: float | None,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
) -> Iterator[BufferedReader]:
    """The stream of the reply to a request that has been sent."""
    lines = [f"{method} {target} HTTP/1.0", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(os.fspath(path))
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        with connection.makefile("rb") as stream:
            yield stream


def receive_head(stream: BufferedReader) -> tuple[int, dict[bytes, bytes]]:
    """The status and the headers, with names in lower case; raises ConnectionError where there is no whole head."""
    words = stream.readline().split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError("closed without an answer" if not words else "the answer is not HTTP")
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        if not line:
            raise ConnectionError("the reply was cut short")
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return int(words[1]), headers
