"""What a line of a log says of itself: its time, its level, who wrote it, and whether it is worth reading. Pure.

Source of the formats: ai-dynamo 1.3.1 and 1.6.1 (text, and JSON with DYN_LOGGING_JSONL), vllm 0.23.0 and 0.31.0,
lmcache 0.5.2 and 0.5.6, uvicorn, torch, Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import IntEnum

from dynkv.children.json_lines import in_text

_STRING = r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
_CONTROL = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]){_STRING}|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
"""Of 7 and of 8 bits: sequences, strings, and each control character that is left but the tab. Source: ECMA-48."""
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
        rf"{_LEVEL}:[\w.]+:",  # Python's logging as it comes
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


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    """Without escape sequences."""
    at: datetime | None = None
    """None where neither it nor a line before it tells."""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a message, without what stands before it."""

    text: str
    level: Level | None = None
    """None where it was only printed: a traceback of the interpreter, say, or the second line of many messages."""
    owner: str = ""
    """The process that a prefix names, as `EngineCore`; empty where none does."""
    head: str = ""
    """What stands before the text, the same for all lines of one message; empty where it was only printed."""


def plain(text: str) -> str:
    """A line without what would act on a terminal: colours and the like."""
    return text if text.isprintable() else _CONTROL.sub("", text)


class LineReader:
    """Reads lines one after the other; one that tells no time or level has those of the line before it.

    Times without a zone are in that of `now`, and dates without a year lie in the year before `now`.
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
    """All of them, by one LineReader."""
    return list(map(LineReader(now), texts))


def parts(raw: str) -> list[Part]:
    """A line of a log taken apart; one in JSON may hold a message of several lines."""
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
    except (ValueError, KeyError, TypeError, RecursionError):  # cut off, or another's JSON
        return [text[start:]]
    return str(message).splitlines() or [""]


def tells(raw: str, now: datetime) -> bool:
    """Whether it says of itself what its level is."""
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
            at.astimezone(UTC)  # the first day of the year 1 has no such time in many zones
            return at
        at = datetime(now.year, month, day, hour, minute, second, microsecond, zone)
        return at if (at - now).days < 1 else at.replace(year=now.year - 1)
    except (ValueError, OverflowError):  # the thirteenth month: it only looked like a date
        return None


def telling(lines: Iterable[str]) -> list[str]:
    """Without escape sequences, answers to probes and the frames of tracebacks: what a person would look for."""
    found = [in_text(plain(line)) for line in lines]
    dull = (_FRAME, _TRACEBACK)
    return [
        line
        for line in found
        if not (_REQUEST.search(line) or _CHAIN.search(line) or any(form.match(line) for form in dull))
    ]


def newest(lines: Sequence[str], now: datetime) -> str:
    """The one that says best what a program does just now: its last message, else its last line; empty if there is
    none. A line of a message that has several is not it."""
    worth = telling(lines)
    return next((line for line in reversed(worth) if tells(line, now)), worth[-1] if worth else "")


def raised(line: str) -> str | None:
    """The exception that ends a traceback on this line, as `TypeError: …`."""
    found = _RAISED.match(plain(line))
    return found["what"].strip() if found else None
