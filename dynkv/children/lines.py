"""What a log line shows: its time, its level, its process, and whether it is worth reading. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from enum import IntEnum

from msgspec import Struct

from dynkv.children.json_lines import in_text

_STRING = r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
_CONTROL = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]){_STRING}|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
"""Control sequences of 7 and 8 bits, control strings, and other control characters except the tab. Source: ECMA-48."""
_OWNER = r"(?:\((?P<owner>[^)]*?) ?\bpid=\d+\) )?"
_LEVEL = r"(?P<level>TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
_DAY = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?"
_FORMS = tuple(
    re.compile(_OWNER + form)
    for form in (
        rf"{_DAY}T{_CLOCK}(?P<zone>Z|[+-]\d\d:?\d\d) +{_LEVEL}\b(?: [\w.:-]+: )?",  # Dynamo
        rf'{{"time":"{_DAY}T{_CLOCK}(?P<zone>Z|[+-]\d\d:?\d\d)","level":"{_LEVEL}"',  # Dynamo, as JSON
        rf"\[{_DAY} {_CLOCK}\] LMCache {_LEVEL}: ?",
        rf"{_LEVEL} (?P<month>\d\d)-(?P<day>\d\d) {_CLOCK} \[(?:[^\]]*\] ?)?",  # vLLM
        rf"\[?{_DAY}[T ]{_CLOCK}(?P<zone>Z|[+-]\d\d:?\d\d)?\b",
        rf"{_LEVEL}:[\w.]+:",  # Python's default logging
        rf"{_LEVEL}:? +",  # uvicorn
    )
)
_OWNED = re.compile(_OWNER.removesuffix("?"))
_RANK = re.compile(r"\[rank\d+\]: ?")
_NUMBERS = ("month", "day", "hour", "minute", "second")
_RAISED = re.compile(rf"{_OWNER}(?:[^\[]*\[\w+\.py:\d+\] )?(?P<what>(?:\w+\.)*\w*(?:Error|Exception|Exit): \S.*)")
_TRACEBACK = re.compile(rf"{_OWNER}(?:[^\[]*\[\w+\.py:\d+\] )?Traceback \(most recent call last\):")
_FRAME = re.compile(rf'{_OWNER}(?:[^\[]*\[\w+\.py:\d+\] )?(?: +File ".*", line \d+|    +\S| +[\^~]+$)')
_REQUEST = re.compile(r'"(?:GET|POST|HEAD) \S+ HTTP/|tower_http|http response sent')
_CHAIN = re.compile(r"(?:During handling of|The above exception was).*another exception|direct cause of the following")


class Level(IntEnum):
    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4
    CRITICAL = 5


_OTHER_NAMES = {"WARN": Level.WARNING, "FATAL": Level.CRITICAL}


class Line(Struct, frozen=True):
    text: str
    """The text without escape sequences."""
    at: datetime | None = None
    """None if neither this line nor one before it has a time."""
    level: Level | None = None


class Part(Struct, frozen=True):
    """A line of a message without its prefix."""

    text: str
    level: Level | None = None
    """None if it was only printed, for example by the interpreter in a traceback, or as a later line of a message."""
    owner: str = ""
    """The process named by a prefix, such as `EngineCore`; empty if there is none."""
    head: str = ""
    """The prefix, which is the same for all lines of one message; empty if it was only printed."""


def plain(text: str) -> str:
    """A line without sequences that act on a terminal, such as colours."""
    return text if text.isprintable() else _CONTROL.sub("", text)


class LineReader:
    """Reads lines in order; a line without time or level has those of the line before it.

    Times without a zone are in that of `now`, and dates without a year are in the year before `now`.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._at: datetime | None = None
        self._level: Level | None = None

    def __call__(self, raw: str) -> Line:
        text = plain(raw)
        at, level = _read(text, self._now)
        self._at, self._level = at or self._at, self._level if level is None else level
        return Line(text, self._at, self._level)


def read_lines(texts: Iterable[str], now: datetime) -> list[Line]:
    """All lines, read by one LineReader."""
    return list(map(LineReader(now), texts))


def parts(raw: str) -> list[Part]:
    """The parts of a log line; a JSON line may contain a message of several lines."""
    text = plain(raw).rstrip()
    text = text[rank.end() :] if (rank := _RANK.match(text)) else text
    for form in _FORMS:
        found = form.match(text)
        if found and (level := _level(found.groupdict().get("level"))) is not None:
            owner, head = found["owner"] or "", found.group()
            return [Part(line, level, owner, head) for line in _message(text, len(head))]
    owned = _OWNED.match(text)
    return [Part(text[owned.end() :], owner=owned["owner"] or "")] if owned else [Part(text)]


def _message(text: str, start: int) -> list[str]:
    if not text.startswith("{"):
        return [text[start:]]
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):  # truncated, or another program's JSON
        return [text[start:]]
    return str(message).splitlines() or [""]


def tells(raw: str, now: datetime) -> bool:
    """Whether the line itself names its level."""
    return _read(plain(raw), now)[1] is not None


def _read(text: str, now: datetime) -> tuple[datetime | None, Level | None]:
    for form in _FORMS:
        if found := form.match(text):
            parts = found.groupdict()
            return _time(parts, now), _level(parts.get("level"))
    return None, Level.ERROR if _TRACEBACK.match(text) else None


def _level(name: str | None) -> Level | None:
    return None if name is None else _OTHER_NAMES.get(name) or Level[name]


def _time(parts: dict[str, str | None], now: datetime) -> datetime | None:
    if parts.get("hour") is None:
        return None
    month, day, hour, minute, second = (int(parts[name] or 0) for name in _NUMBERS)
    microsecond = int(f"{parts.get('fraction') or ''}000000"[:6])
    given, year = parts.get("zone"), parts.get("year")
    try:
        zone: tzinfo | None = datetime.fromisoformat(f"2000-01-01T00:00:00{given}").tzinfo if given else now.tzinfo
        if year is not None:
            at = datetime(int(year), month, day, hour, minute, second, microsecond, zone)
            at.astimezone(UTC)  # in many zones, the first day of the year 1 has no such time
            return at
        at = datetime(now.year, month, day, hour, minute, second, microsecond, zone)
        return at if (at - now).days < 1 else at.replace(year=now.year - 1)
    except (ValueError, OverflowError):  # month 13, for example: it only looked like a date
        return None


def telling(lines: Iterable[str]) -> list[str]:
    """Lines without escape sequences, answers to probes and frames of tracebacks: what a person would look for."""
    found = [in_text(plain(line)) for line in lines]
    dull = (_FRAME, _TRACEBACK)
    return [
        line
        for line in found
        if not (_REQUEST.search(line) or _CHAIN.search(line) or any(form.match(line) for form in dull))
    ]


def newest(lines: Sequence[str], now: datetime) -> str:
    """The line that best says what a program is doing: its last message, else its last line; empty if there is none.
    A line of a message with several lines does not count."""
    worth = telling(lines)
    return next((line for line in reversed(worth) if tells(line, now)), worth[-1] if worth else "")


def raised(line: str) -> str | None:
    """The exception that ends a traceback on this line, such as `TypeError: …`."""
    found = _RAISED.match(plain(line))
    return found["what"].strip() if found else None
