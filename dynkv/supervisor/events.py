"""The deployment's history: every step with its cause and, where it took time, its duration."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.wire import encoded

_REMEMBERED = 1000
_BUFFER = 1000


@dataclass(frozen=True, slots=True)
class Event:
    seq: int
    """Counted from 1 by each supervisor."""
    at: str
    """ISO 8601, UTC."""
    kind: str
    """One of EventKind, or what a dynkv of another version knows."""
    unit: str | None
    """None for the deployment as a whole."""
    message: str
    cause: str = ""
    """Empty where there is none to tell."""
    duration_s: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """What programs may want of it; differs by kind."""


class EventLog:
    """Appends to events.jsonl and to whoever listens. Recording never fails and never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._listeners: set[MemoryObjectSendStream[Event]] = set()
        self._seq = 0
        self.write_error: str | None = None
        """Why the file could not be written the last time; None when all is well."""

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
        event = Event(self._seq, utc_now(), kind, unit, message, cause, rounded, data)
        self._recent.append(event)
        self._write(event)
        for listener in tuple(self._listeners):
            try:
                listener.send_nowait(event)
            except anyio.WouldBlock:
                self._listeners.discard(listener)
                listener.close()  # too slow: its stream ends, and it can ask again

    async def follow(self, after_seq: int = 0) -> AsyncIterator[Event]:
        """Remembered events after `after_seq`, then new ones as they come."""
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
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, encoded(event) + b"\n")
            finally:
                os.close(fd)
            self.write_error = None
        except OSError as error:
            self.write_error = str(error)


def seconds_of(moment: str) -> float | None:
    """Since 1970, of what utc_now() gave; None for what is no such time."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
