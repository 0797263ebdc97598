"""The route that a request is for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from dynkv.control.routes import Route

_HALF_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHOWN_CHARACTERS = 100


class Found(Struct, frozen=True):
    route: Route
    named: Mapping[str, str]
    """The values in the path for the route's names in braces."""


class Refused(Struct, frozen=True):
    status: int
    why: str
    allow: tuple[str, ...] = ()
    """The methods that the path supports, if it is known."""


def find(routes: Iterable[Route], method: str, path: str) -> Found | Refused:
    """Find the route. `path` is as sent: anything escaped in it, even a slash, belongs to one segment. Source: RFC
    3986, 3.3."""
    shown = path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}…"
    segments = _segments(path)
    if segments is None:
        return Refused(400, f"{shown!r} is not a path")
    fitting = {it.method: Found(it, named) for it in routes if (named := _fits(it.path, segments)) is not None}
    if method in fitting:
        return fitting[method]
    if fitting:
        allow = tuple(sorted(fitting))
        return Refused(405, f"there is no {method} {shown}; it supports {' and '.join(allow)}", allow)
    return Refused(404, f"there is no {method} {shown}")


def _segments(path: str) -> list[str] | None:
    """The segments; None if it is not a path."""
    if not path.startswith("/") or _HALF_ESCAPE.search(path):
        return None
    try:
        return [unquote_to_bytes(segment).decode() for segment in path[1:].split("/")]
    except UnicodeError:
        return None


def _fits(pattern: str, segments: list[str]) -> dict[str, str] | None:
    """The values of the names in braces; None if the path does not match. An empty segment is no value."""
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
