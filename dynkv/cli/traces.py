"""Reading a trace that is named on the command line."""

from __future__ import annotations

from pathlib import Path

from dynkv.bench.trace import Trace, read
from dynkv.errors import TraceError, UsageError


def read_trace(file: Path) -> Trace:
    """The trace. Raises UsageError if the file cannot be read, and TraceError, with file and line, if it is not a
    trace."""
    try:
        with file.open("rb") as lines:
            return read(lines)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except TraceError as error:
        raise TraceError(error.what, error.line, file=str(file), hint=error.hint) from None
