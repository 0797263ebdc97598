"""Requests to the control socket: any bytes, in any pieces, any path."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, TEXTS, bounded, damaged, fuzz, soup

from dynkv.control.answers import Answers
from dynkv.control.guests import Guests
from dynkv.control.http import Reply, Request, _attend, error_reply, json_reply
from dynkv.control.routes import ROUTES
from dynkv.control.routing import Found, Refused, find
from dynkv.owned import is_own_peer
from dynkv.supervisor.events import Event

pytestmark = pytest.mark.anyio

LINES = [
    b"GET /v1/status HTTP/1.1\r\n",
    b"POST /v1/units/a/stop HTTP/1.0\r\n",
    b"HEAD * HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n",
]
LINES += [
    b"GET /v1/events HTTP/1.1\r\n",
    b"Host: localhost\r\n",
    b"Last-Event-ID: 3\r\n",
    b"Content-Length: 3\r\n",
    b"Expect: 100-continue\r\n",
]
LINES += [
    b"Transfer-Encoding: chunked\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"\n",
    b" x\r\n",
    b"Upgrade: websocket\r\n",
]
LINES += [b"X: " + b"y" * 20_000, b"Connection: keep-alive\r\n", b"Content-Length: 9999999999999999999999\r\n", b"abc"]
WHOLE = b"POST /v1/roles/worker/scale/3 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nLast-Event-ID: 7\r\n\r\nabc"


class _NoEvents:
    async def follow(self, after: int) -> AsyncIterator[Event]:
        assert 0 <= after < 10**18
        yield Event(1, "", "state", None, "m")


async def answered(request: Request) -> Reply:
    """The reply by the routes, without the supervisor's part."""
    found = find(ROUTES, request.method, request.path)
    if isinstance(found, Refused):
        return error_reply(found.status, found.why, allow=found.allow)
    if found.route.handler is Answers.events:
        return await Answers.events(_answers(), request, found.named)
    return json_reply(found.route.status, found.named)


def _answers() -> Answers:
    made = Answers.__new__(Answers)
    made._events = _NoEvents()  # type: ignore[assignment]
    return made


@fuzz
@given(soup(LINES) | damaged(WHOLE), st.integers(0, 40))
@example(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " + "²".encode() + b"\r\n\r\n", 0)
@example(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " + b"9" * 5000 + b"\r\n\r\n", 0)
@example(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID:\r\n\r\n", 0)
async def test_whatever_is_sent_is_answered_or_left(sent: bytes, first: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, bounded(), anyio.fail_after(10):
        for end in (ours, theirs):
            end.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_attend, answered, ours, Guests(), is_own_peer)
            theirs.send(sent[:first] or b"G")
            await anyio.lowlevel.checkpoint()
            theirs.send(sent[first:60_000])
            theirs.shutdown(socket.SHUT_WR)
        told = b""
        while piece := theirs.recv(65536):
            told += piece
    assert not told or told.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in told[:20]


ESCAPES = st.sampled_from(
    ["%2F", "%00", "%ff", "%", "%zz", "..", "/", "//", "?", "#", "v1", "units", "scale", "roles", "events"]
)


@fuzz
@given(st.sampled_from(["GET", "POST", "HEAD", ""]) | TEXTS, st.lists(ESCAPES | TEXTS, max_size=8).map("/".join))
@example("GET", "/\ud800")
def test_whatever_path_is_found_or_refused(method: str, path: str) -> None:
    with bounded():
        found = find(ROUTES, method, path)
    assert isinstance(found, Found) or (found.status in (400, 404, 405) and found.why)


@fuzz
@given(BYTES)
async def test_whatever_number_of_an_event(given_id: bytes) -> None:
    reply = await Answers.events(_answers(), Request("GET", "/v1/events", {b"last-event-id": given_id}), {})
    assert reply.status in (200, 400)
