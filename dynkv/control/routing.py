"""Which route a request means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from dynkv.control.routes import Route

_HALF_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Found:
    route: Route
    named: Mapping[str, str]
    """What stands in the path for the route's names in braces."""


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    why: str
    allow: tuple[str, ...] = ()
    """The methods that the path takes, where it is known."""


def find(routes: Iterable[Route], method: str, path: str) -> Found | Refused:
    """`path` as it was sent: what is escaped in it, a slash too, belongs to one segment. Source: RFC 3986, 3.3."""
    shown = path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}…"
    segments = _segments(path)
    if segments is None:
        return Refused(400, f"{shown!r} is no path")
    fitting = {it.method: Found(it, named) for it in routes if (named := _fits(it.path, segments)) is not None}
    if method in fitting:
        return fitting[method]
    if fitting:
        allow = tuple(sorted(fitting))
        return Refused(405, f"there is no {method} {shown}; it takes {' and '.join(allow)}", allow)
    return Refused(404, f"there is no {method} {shown}")


def _segments(path: str) -> list[str] | None:
    """None for what is no path."""
    if not path.startswith("/") or _HALF_ESCAPE.search(path):
        return None
    try:
        return [unquote_to_bytes(segment).decode() for segment in path[1:].split("/")]
    except UnicodeError:
        return None


def _fits(pattern: str, segments: list[str]) -> dict[str, str] | None:
    """What stands for the names in braces; None where path and pattern are unlike. Nothing stands for nothing."""
    parts = pattern[1:].split("/")
    if len(parts) != len(segments):
        return None
    named = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{") and segment:
            named[part.strip("{}")] = segment
        elif part != segment:
            return None
    return named
