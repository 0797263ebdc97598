"""Standard streams whose failures do not end the command: all three exist, and writing never fails.

Characters outside a stream's encoding are escaped as in JSON, so that documents stay valid. If nothing can be written,
because the reader or terminal is gone or the disk is full, a verb that only shows something learns of it once, since it
has nothing left to do; a verb that acts ignores it.
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

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from _typeshed import ReadableBuffer

_SIZE_DIGITS = 5
_ESCAPED = "dynkv.escaped"

_acts = False


def prepare() -> None:
    """Open missing streams before any other file takes their numbers and receives what is printed."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
    for name in ("COLUMNS", "LINES"):
        given = os.environ.get(name, "")
        if not (given.isascii() and given.isdecimal() and len(given) <= _SIZE_DIGITS):
            os.environ.pop(name, None)  # rich and textual would take it for a number
    if sys.getfilesystemencoding() == "ascii":
        _begin_anew()
    codecs.register_error(_ESCAPED, _escaped)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = _lenient(1, sys.stdout)
    sys.stderr = _lenient(2, sys.stderr)


def _begin_anew() -> None:
    """Start again in UTF-8, which is Python's own choice for a poor locale unless told otherwise.

    In ASCII it could not name every file, nor every argument of a profile's units.
    """
    argv = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(sys.executable, argv, {**os.environ, "PYTHONUTF8": "1"})


def persevere() -> None:
    """Finish the work from here on, whether or not anybody reads its output."""
    global _acts
    _acts = True
    import signal

    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: None)  # a supervisor would inherit an ignored signal


class _Descriptor(io.FileIO):
    """A descriptor to write to. Its failure is raised once, and only if output was all that was asked for."""

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
    """A text stream to a terminal without control sequences, whatever prints to it. Colours pass: they are added
    after the same cleaning."""

    kept = COLOURED

    def write(self, text: str, /) -> int:
        super().write(readable(text, self.kept))
        return len(text)


@contextmanager
def moving(stream: TextIO) -> Iterator[None]:
    """Let what is shown replace what was shown before, while the block lasts."""
    if not isinstance(stream, _Terminal):
        yield
        return
    stream.kept = MOVING
    try:
        yield
    finally:
        stream.kept = COLOURED


def _lenient(fd: int, stream: TextIO | None) -> TextIO:
    """A stream that replaces `stream` and takes over its encoding and buffering."""
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
    assert isinstance(error, UnicodeEncodeError)  # output raises no other
    return escaped(error.object[error.start : error.end]), error.end
