"""Tracebacks in a log: what was raised, from where, and the message before them. Pure.

Source of the formats: Python 3.11, including groups of exceptions; vllm 0.31.0, which prefixes each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from msgspec import Struct, field

from dynkv.children.lines import Level, Part

_HEADER = "Traceback (most recent call last):"
_GROUP = "  + Exception Group "
"""Precedes the header of a group of exceptions."""
_MEMBER = re.compile(r" +\| ?")
"""Precedes each line within a group."""
_NEXT_MEMBER = re.compile(r" +\+[-+][-+ .\d]*$")
_RAISED = re.compile(r"[A-Za-z_][\w.<>]*(?:\(\w+\))?(?::|: .*)?$")
_A_GROUP = re.compile(r".*\(\d+ sub-exceptions?\)")


class _Link(Enum):
    """How an exception relates to the one above it."""

    CAUSE = "raised from it"
    CONTEXT = "raised while it was handled"
    MEMBER = "the next in the same group"


_CHAIN = {
    "The above exception was the direct cause of the following exception:": _Link.CAUSE,
    "During handling of the above exception, another exception occurred:": _Link.CONTEXT,
}


class Traceback(Struct):
    rows: list[int]
    """Indices of the parts that are its lines."""
    said: str
    """The beginning of the message that it is part of; if it was only printed, the line before it."""
    level: Level | None
    """Level of the message that it is part of; None if it was only printed."""
    owner: str
    frames: list[str] = field(default_factory=list)
    """Frames of the last exception, the outermost first."""
    raised: list[str] = field(default_factory=list)
    """The last exception, such as `TypeError: …`, with the indented lines that follow; for a group, its members."""
    causes: list[str] = field(default_factory=list)
    """What it was raised from, the nearest first, without exceptions that were only being handled meanwhile."""


def read_tracebacks(parts: Iterable[Part]) -> list[Traceback]:
    """All tracebacks that say what was raised, in the order of their ends. Processes that write at the same time are
    kept apart."""
    readers: dict[str, _Reader] = {}
    for row, part in enumerate(parts):
        readers.setdefault(part.owner, _Reader()).read(row, part)
    found = [traceback for reader in readers.values() for traceback in reader.found if traceback.raised]
    return sorted(found, key=lambda traceback: traceback.rows[-1])


class _Reader:
    """Reads what one process writes."""

    def __init__(self) -> None:
        self.found: list[Traceback] = []
        self._last = Part("")
        self._open: _Open | None = None

    def read(self, row: int, part: Part) -> None:
        if self._open is not None and self._open.takes(part):
            self.found[-1].rows.append(row)
        elif part.text.endswith(_HEADER) and (part.text[0] != " " or part.text.startswith(_GROUP)):
            self._begin(row, part)
        elif part.text.strip():
            self._last = part

    def _begin(self, row: int, part: Part) -> None:
        before = self._last.text if part.head in ("", self._last.head) else ""
        said = part.text.removesuffix(_HEADER).removeprefix(_GROUP).rstrip(": ") or before
        self.found.append(Traceback([row], said, part.level, part.owner))
        self._open = _Open(self.found[-1], part)
        self._last = Part("")


class _Open:
    """A traceback that is still being read."""

    def __init__(self, traceback: Traceback, header: Part) -> None:
        self._traceback = traceback
        self._head = header.head
        self._in_group = header.text.startswith(_GROUP)
        self._in_frames = True
        self._has_ended = False
        self._link: _Link | None = None

    def takes(self, part: Part) -> bool:
        """Whether the line belongs to it. Other processes may write between its lines."""
        if self._has_ended or (part.level is not None and part.head != self._head):
            return False
        bar = _MEMBER.match(part.text) if self._in_group else None
        text = part.text[bar.end() :] if bar else part.text
        is_inside = self._in_group and part.text.startswith(" ")
        takes = self._takes_frame if self._in_frames else self._takes_more
        self._has_ended = text != "" and not takes(text, is_inside=is_inside)
        return not self._has_ended

    def _takes_frame(self, text: str, *, is_inside: bool) -> bool:
        if text.endswith(_HEADER):
            return False  # its own end is missing
        if text.startswith("  File ") and self._link is not _Link.MEMBER:
            self._traceback.frames.append(text.strip())
        elif _RAISED.match(text):
            self._in_frames = False
            self._raise(text, is_inside=is_inside)
        return True

    def _takes_more(self, text: str, *, is_inside: bool) -> bool:
        """After an exception: whether the line is still about it, or says how the next one relates to it."""
        if text in _CHAIN:
            self._link = _CHAIN[text]
        elif is_inside and _NEXT_MEMBER.match(text):
            self._link = _Link.MEMBER
        elif self._link is not None and text.endswith(_HEADER):
            return self._goes_on(text, is_inside=is_inside)
        elif self._link is _Link.MEMBER and is_inside and _RAISED.match(text):
            self._raise(text, is_inside=True)  # it was never raised by itself, and has no traceback
        elif text.startswith(" "):
            self._traceback.raised[-1] += f"\n{text}"
        else:
            return False
        return True

    def _goes_on(self, header: str, *, is_inside: bool) -> bool:
        """Begin to read the next exception, unless it is unrelated to the last."""
        is_group = header.startswith(_GROUP)
        if self._link is _Link.MEMBER and not is_inside:
            return False
        if not is_inside or is_group:
            self._in_group = is_group
            self._traceback.frames.clear()
        self._in_frames = True
        return True

    def _raise(self, text: str, *, is_inside: bool) -> None:
        raised, causes = self._traceback.raised, self._traceback.causes
        before = raised[-1:] if is_inside else raised[:]
        if self._link in (_Link.CAUSE, _Link.CONTEXT):
            del raised[-len(before) :]
            causes[:] = [*before, *causes] if self._link is _Link.CAUSE else []
        elif self._link is _Link.MEMBER and _A_GROUP.match(raised[-1]):
            raised.pop()
        raised.append(text)
        self._link = None
