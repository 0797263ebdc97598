"""Answers without an end, or in tiny pieces: their cost is bounded, whatever the deadline."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from dynkv.plan.model import HttpGet
from dynkv.probes.attempt import _check
from dynkv.probes.http import request

pytestmark = pytest.mark.anyio

ENDLESS = """
import socket, sys, time
head, piece, pause_s = sys.argv[1].encode().decode("unicode_escape").encode("latin-1"), \\
    sys.argv[2].encode().decode("unicode_escape").encode("latin-1"), float(sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.recv(65536)
        client.sendall(head)
        while True:
            client.sendall(piece)
            time.sleep(pause_s)
    except OSError:
        client.close()
"""
CHUNKED = r"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = 1000
CASES = {
    "chunks of a byte": (CHUNKED, r"1\r\nx\r\n" * MANY, "0"),
    "chunks of a byte, each by itself": (CHUNKED, r"1\r\nx\r\n", "0"),
    "chunks with a long name": (CHUNKED, rf"1;{'a' * 1000}\r\nx\r\n" * 10, "0"),
    "empty lines of chunks": (CHUNKED, r"\r\n" * MANY, "0"),
    "trailers": (CHUNKED + r"0\r\n", r"a: b\r\n" * MANY, "0"),
    "a body of bytes": (r"HTTP/1.1 200 OK\r\n\r\n", "x", "0"),
    "a length without end": (r"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "x" * MANY, "0"),
    "gzip": (r"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", r"\x1f\x8b\x08\x00" * MANY, "0"),
    "100-continue": ("", r"HTTP/1.1 100 Continue\r\n\r\n" * MANY, "0"),
    "102, each by itself": ("", r"HTTP/1.1 102 Processing\r\n\r\n", "0"),
    "a header without end": (r"HTTP/1.1 200 OK\r\nX: ", "x" * MANY, "0"),
    "headers without end": (r"HTTP/1.1 200 OK\r\n", r"X: y\r\n" * MANY, "0"),
    "headers, a byte at a time": (r"HTTP/1.1 200 OK\r\nX: ", "x", "0"),
    "a byte each millisecond": (r"HTTP/1.1 200 OK\r\nX: ", "x", "0.001"),
    "no HTTP": ("", r"\x00" * MANY, "0"),
}


@contextmanager
def endless(*words: str) -> Iterator[int]:
    """The port of a server that sends as long as anybody reads."""
    with subprocess.Popen([sys.executable, "-c", ENDLESS, *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
async def test_an_answer_without_end_costs_little(words: tuple[str, str, str]) -> None:
    with endless(*words) as port:
        began, size = time.process_time(), 0
        with anyio.move_on_after(2):
            try:
                size = len((await request("127.0.0.1", port, "/metrics")).body)
            except OSError as error:
                assert str(error)
        assert time.process_time() - began < 0.5
        assert size < 5 * 1024**2


@pytest.mark.parametrize("words", [CASES["100-continue"], CASES["headers without end"]])
async def test_it_says_what_is_wrong(words: tuple[str, str, str]) -> None:
    with endless(*words) as port:
        failure = await _check(HttpGet(port, "/health"), 20, None)
    assert failure
    assert failure.startswith(("/health: it ", "/health: its answer "))
