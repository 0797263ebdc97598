"""Printing events in the foreground; a reader that is slow or gone affects nothing else."""

from __future__ import annotations

import errno
import os
import queue
import sys
import threading

from dynkv.readable import readable
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog

_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
_WAITING_MAX = 1000
"""Most lines to keep for a slow reader; newer ones are dropped."""


async def print_events(events: EventLog) -> None:
    """Print events; returns when nobody can read them any more."""
    printer = _Printer(sys.stdout.encoding if sys.stdout else "utf-8")
    async for event in events.follow():
        printer.put(as_line(event))
        if printer.is_alone is not None:
            events.record(EventKind.LOG, "events are printed no more", cause=f"stdout is gone: {printer.is_alone}")
            return


def as_line(event: Event) -> str:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" ({event.cause})" if event.cause else ""
    return f"{event.at} {event.unit or 'deployment'}: {event.message}{took}{cause}"


class _Printer:
    """Writes in a separate thread, since a halted terminal or a full pipe blocks the writer."""

    def __init__(self, encoding: str) -> None:
        self.is_alone: OSError | None = None
        """Why nobody can read the output, once that is so."""
        self._encoding = encoding
        self._is_terminal = os.isatty(1)
        self._lines: queue.Queue[str] = queue.Queue(_WAITING_MAX)
        threading.Thread(target=self._write, daemon=True).start()

    def put(self, line: str) -> None:
        if not self._lines.full():
            self._lines.put_nowait(line)

    def _write(self) -> None:
        while self.is_alone is None:
            line = self._lines.get()
            shown = readable(line) if self._is_terminal else line
            data = f"{shown}\n".encode(self._encoding, "backslashreplace")
            try:
                while data:
                    data = data[os.write(1, data) :]
            except OSError as failure:  # on a full disk, for example, a line is lost
                self.is_alone = failure if failure.errno in _GONE else None
