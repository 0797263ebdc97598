"""The position of each value in a profile, so that an error can point at the line that caused it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dynkv.secrets import masked

Path = tuple[str | int, ...]


_SHOWN_MAX = 100
_EXCERPT_MAX = 50
"""Most characters of an excerpt: with its prefix it fits a narrow terminal, so that the caret stays in place."""


def short(text: str, most: int = _SHOWN_MAX) -> str:
    """The beginning of a text, as long as a message has room for."""
    return text if len(text) <= most else f"{text[:most]}…"


class Mark(Struct, frozen=True):
    """A position: a line of a file, or an option of the command line (then `line` is 0)."""

    origin: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else masked(self.origin)

    def excerpt(self) -> str:
        """The line, or the part of a long one around the position, with a caret below; empty for an option."""
        if not self.line:
            return ""
        gutter = f"{self.line:>5} | "
        shown = masked(self.text)
        start = 0 if len(shown) <= _EXCERPT_MAX else max(0, self.column - 1 - _EXCERPT_MAX // 2)
        end = start + _EXCERPT_MAX
        text = ("…" if start else "") + shown[start:end] + ("…" if end < len(shown) else "")
        return f"{gutter}{text}\n{' ' * (len(gutter) + self.column - 1 - start + bool(start))}^"


class Source:
    """Plain data with the mark of each key and item."""

    def __init__(self, data: dict[str, Any], marks: dict[Path, Mark]) -> None:
        self.data = data
        self.marks = marks

    def merged(self, over: Source) -> Source:
        """This source overlaid by `over`: mappings merge, everything else is replaced."""
        marks = {path: mark for path, mark in self.marks.items() if not _replaced(path, over.data)}
        return Source(merge(self.data, over.data), {**marks, **over.marks})

    def written(self, loc: Path) -> Path:
        """`loc` without parts that nobody wrote: defaults, and pydantic's names of union members."""
        path: Path = ()
        for part in loc:
            path = (*path, part) if (*path, part) in self.marks else path
        return path

    def mark(self, loc: Path) -> Mark | None:
        """The position of the deepest part of `loc` that was written."""
        return self.marks.get(self.written(loc))


def merge(base: Any, over: Any) -> Any:
    """`base` overlaid by `over`: mappings merge, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: merge(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over


def _replaced(path: Path, over: Any) -> bool:
    """Whether the value at `path` is replaced by the one in `over` rather than merged with it."""
    for part in path:
        if not isinstance(over, dict):
            return True
        if part not in over:
            return False
        over = over[part]
    return not isinstance(over, dict)
