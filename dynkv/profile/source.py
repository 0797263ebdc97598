"""Where each value of a profile was written, so that an error can point at the line that caused it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dynkv.secrets import masked

Path = tuple[str | int, ...]


_SHOWN_MAX = 100
_EXCERPT_MAX = 50
"""With what stands before it, it fits into a narrow terminal, so that the caret stays where it belongs."""


def short(text: str, most: int = _SHOWN_MAX) -> str:
    """As much of it as a message has room for."""
    return text if len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place: a line of a file, or an option of the command line (then `line` is 0)."""

    origin: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else masked(self.origin)

    def excerpt(self) -> str:
        """The line itself, or what of a long one stands around the place, and a caret under it; empty for an option."""
        if not self.line:
            return ""
        gutter = f"{self.line:>5} | "
        shown = masked(self.text)
        start = 0 if len(shown) <= _EXCERPT_MAX else max(0, self.column - 1 - _EXCERPT_MAX // 2)
        end = start + _EXCERPT_MAX
        text = ("…" if start else "") + shown[start:end] + ("…" if end < len(shown) else "")
        return f"{gutter}{text}\n{' ' * (len(gutter) + self.column - 1 - start + bool(start))}^"


class Source:
    """Plain data together with the mark of each of its keys and items."""

    def __init__(self, data: dict[str, Any], marks: dict[Path, Mark]) -> None:
        self.data = data
        self.marks = marks

    def merged(self, over: Source) -> Source:
        """This source with `over` laid on it: mappings merge, everything else is replaced."""
        marks = {path: mark for path, mark in self.marks.items() if not _replaced(path, over.data)}
        return Source(merge(self.data, over.data), {**marks, **over.marks})

    def written(self, loc: Path) -> Path:
        """`loc` without the parts that nobody wrote: defaults, and pydantic's names of union members."""
        path: Path = ()
        for part in loc:
            path = (*path, part) if (*path, part) in self.marks else path
        return path

    def mark(self, loc: Path) -> Mark | None:
        """The place of the deepest part of `loc` that was written."""
        return self.marks.get(self.written(loc))


def merge(base: Any, over: Any) -> Any:
    """`over` laid on `base`: mappings merge, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: merge(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over


def _replaced(path: Path, over: Any) -> bool:
    """Whether the value at `path` gives way to one in `over` rather than being merged with it."""
    for part in path:
        if not isinstance(over, dict):
            return True
        if part not in over:
            return False
        over = over[part]
    return not isinstance(over, dict)
