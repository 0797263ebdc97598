"""JSON lines of logs, in a form for people. Pure.

Source: ai-dynamo 1.6.1 with DYN_LOGGING_JSONL, whose text form this is: time, level, target, message, fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_PLACED = frozenset(("time", "level", "target", "message", "log.target", "request_id"))
_OF_TRACES = frozenset(("trace_id", "trace_flags", "span_id", "parent_id", "span_name", "otel.kind"))
_OF_THE_SOURCE = frozenset(("file", "line", "log.file", "log.line"))
_BEGINS = '{"time":"'


def in_text(line: str) -> str:
    """The line as text, without its place in the source and the ids of spans; any other line is unchanged."""
    if not line.startswith(_BEGINS):
        return line
    try:
        said = json.loads(line)
        time, level, message = str(said["time"]), str(said["level"]), str(said["message"])
    except (ValueError, KeyError, RecursionError):  # truncated, or another program's JSON
        return line
    writer = said.get("log.target") or said.get("target") or ""
    return f"{time} {level:>5} {writer}: {message}{_fields(said)}"


def _fields(said: Mapping[str, Any]) -> str:
    own = {name: value for name, value in said.items() if name not in _PLACED | _OF_TRACES | _OF_THE_SOURCE}
    request = said.get("request_id")
    return "".join(
        f" {name}={value}" for name, value in {**own, **({"request_id": request} if request else {})}.items()
    )
