"""The standard streams, such that what only informs ends nothing: all three are there, and writing never fails.

What a stream's encoding does not have is written as JSON would escape it, so that documents stay whole. What cannot be
written at all, because its reader or its terminal has gone, or a disk is full, is told once to a verb that only shows,
for then there is nothing left to do; and lost to one that acts.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from contextlib import contextmanager

from dynkv.errors import OutputLost
from dynkv.readable import COLOURED, MOVING, escaped, readable

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than all that is here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from _typeshed import ReadableBuffer

_SIZE_DIGITS = 5
_ESCAPED = "dynkv.escaped"

_acts = False


def prepare() -> None:
    """Before anything else is opened: whatever comes first would become the missing one, and get what is printed."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    for name in ("COLUMNS", "LINES"):
        given = os.environ.get(name, "")
        if not (given.isascii() and given.isdecimal() and len(given) <= _SIZE_DIGITS):
            os.environ.pop(name, None)  # rich and textual would take it for a number all the same
    if sys.getfilesystemencoding() == "ascii":
        _begin_anew()
    codecs.register_error(_ESCAPED, _escaped)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = _lenient(1, sys.stdout)
    sys.stderr = _lenient(2, sys.stderr)


def _begin_anew() -> None:
    """In UTF-8, which is Python's own choice for a poor locale unless it is told otherwise.

    In ASCII it could name neither all files nor all arguments of a profile's units.
    """
    argv = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(sys.executable, argv, {**os.environ, "PYTHONUTF8": "1"})


def persevere() -> None:
    """From here on the verb acts: it does its work to the end, whether anybody reads of it or not."""
    global _acts
    _acts = True
    import signal

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: None)  # a supervisor would inherit that it is ignored


class _Descriptor(io.FileIO):
    """One to write to. Its failure comes out once, and only where it is all that was asked for."""

    _has_failed = False

    def write(self, data: ReadableBuffer) -> int:
        try:
            while (written := super().write(data)) is None:  # somebody has made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            is_first, self._has_failed = not self._has_failed, True
            if is_first and not _acts and self.fileno() == 1:
                raise error if isinstance(error, BrokenPipeError) else OutputLost(error) from None
        return memoryview(data).nbytes


class _Terminal(io.TextIOWrapper):
    """What is printed reaches a terminal as text, whoever it comes from. Colours pass: they are put on what has been
    through the same rule before."""

    kept = COLOURED

    def write(self, text: str, /) -> int:
        super().write(readable(text, self.kept))
        return len(text)


@contextmanager
def moving(stream: TextIO) -> Iterator[None]:
    """Meanwhile, what is shown there may take the place of what was."""
    if not isinstance(stream, _Terminal):
        yield
        return
    stream.kept = MOVING
    try:
        yield
    finally:
        stream.kept = COLOURED


def _lenient(fd: int, stream: TextIO | None) -> TextIO:
    """In place of `stream`, whose encoding and buffering it takes over."""
    descriptor = _Descriptor(fd, "w", closefd=False)
    kind = _Terminal if descriptor.isatty() else io.TextIOWrapper
    return kind(
        io.BufferedWriter(descriptor),
        stream.encoding if stream else "utf-8",
        errors=_ESCAPED,
        line_buffering=fd == 2 or descriptor.isatty(),
        write_through=getattr(stream, "write_through", False),
    )


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # of an output there is no other
    return escaped(error.object[error.start : error.end]), error.end
