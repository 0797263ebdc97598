"""The deployment's history: every step with its cause and, if it took time, its duration."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct, field

from dynkv import documents
from dynkv.children.output import copies_of, tail
from dynkv.owned import open_own
from dynkv.secrets import masked
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.moments import utc_now

_REMEMBERED = 1000
_BUFFER = 1000
_LAST = 20
_SEQ_MAX = 2**53
"""Largest sequence number: the largest exact integer in most implementations of JSON."""


class Event(Struct, frozen=True):
    seq: int
    """Continues from the previous supervisor's number, as far as events.jsonl has it."""
    at: str
    """Time in ISO 8601, UTC."""
    kind: str
    """One of the kinds below, or one of another version of dynkv."""
    unit: str | None
    """None for the deployment as a whole."""
    message: str
    """What happened, in words."""
    cause: str = ""
    """Why; empty if there is no reason to give."""
    duration_s: float | None = None
    """How long it took, in seconds; None if it took no time."""
    data: dict[str, Any] = field(default_factory=dict)
    """Details for programs, by kind."""


class EventLog:
    """Appends events to events.jsonl and sends them to listeners. Recording never fails and never waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._listeners: set[MemoryObjectSendStream[Event]] = set()
        self._seq = _last_seq(path)
        self.write_error: str | None = None
        """Why the last write to the file failed; None if it succeeded."""

    def record(
        self,
        kind: EventKind,
        message: str,
        *,
        unit: str | None = None,
        cause: str = "",
        duration_s: float | None = None,
        **data: Any,
    ) -> None:
        self._seq += 1
        rounded = None if duration_s is None else round(duration_s, 3)
        event = Event(self._seq, utc_now(), kind, unit, masked(message), masked(cause), rounded, data)
        self._recent.append(event)
        self._write(event)
        for listener in tuple(self._listeners):
            try:
                listener.send_nowait(event)
            except anyio.WouldBlock:
                self._listeners.discard(listener)
                listener.close()  # too slow: its stream ends, and it can start a new one

    async def follow(self, after_seq: int = 0) -> AsyncIterator[Event]:
        """Remembered events after `after_seq`, then new ones as they come. All of them if `after_seq` is in the
        future: it comes from a supervisor whose events are lost."""
        after_seq = after_seq if after_seq <= self._seq else 0
        with self._listening() as new:
            remembered = [event for event in self._recent if event.seq > after_seq]
            for event in remembered:
                yield event
            async for event in new:
                yield event

    @contextmanager
    def _listening(self) -> Iterator[AsyncIterator[Event]]:
        send, receive = anyio.create_memory_object_stream[Event](_BUFFER)
        self._listeners.add(send)
        try:
            with send, receive:
                yield receive
        finally:
            self._listeners.discard(send)

    def _write(self, event: Event) -> None:
        try:
            fd = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(fd, documents.encoded(event) + b"\n")
            finally:
                os.close(fd)
            self.write_error = None
        except OSError as error:
            self.write_error = str(error)


def decoded(line: bytes | str) -> Event | None:
    """The event in a line of events.jsonl; None if it is incomplete, as after a full disk."""
    try:
        return documents.decoded(line, Event)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _last_seq(path: Path) -> int:
    """The highest number among the last lines, most of which need not be read unless the last ones make no sense; 0 if
    there is none."""
    for file in (path, *copies_of(path)[:1]):
        lines = tail(file, _REMEMBERED)
        for some in (lines[-_LAST:], lines[:-_LAST]):
            found = (event.seq for line in some if (event := decoded(line)) is not None)
            if numbers := [seq for seq in found if 0 < seq < _SEQ_MAX]:
                return max(numbers)
    return 0
