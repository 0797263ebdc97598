"""A profile in the making: ordered keys, each with the reason for its value, and the resulting YAML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

_PLAIN = re.compile(r"[A-Za-z/][\w./@+-]*$")
_NO_TEXT = re.compile(r"(?:true|false|null|yes|no|on|off|~|y|n|inf|nan)$", re.IGNORECASE)
_WIDTH = 100


class Entry(Struct, frozen=True):
    value: Any
    why: str = ""


class Draft(Struct):
    """The draft; `entries` by dotted key."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def put(self, key: str, value: Any, why: str = "") -> None:
        self.entries[key] = Entry(value, why)

    def get(self, key: str) -> Any:
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def data(self) -> dict[str, Any]:
        """The profile as a nested mapping."""
        found: dict[str, Any] = {}
        for key, entry in self.entries.items():
            *outer, last = key.split(".")
            into = found
            for part in outer:
                into = into.setdefault(part, {})
            into[last] = entry.value
        return found

    def text(self, head: Sequence[str] = ()) -> str:
        """YAML with the reasons as comments; each item of `head` becomes a comment at the top."""
        lines = [line for paragraph in head for line in _comment(paragraph)]
        return "\n".join([*lines, *self._lines(self.data(), (), 0)]) + "\n"

    def _lines(self, data: Mapping[str, Any], path: tuple[str, ...], depth: int) -> Iterator[str]:
        indent = "  " * depth
        for name, value in data.items():
            here = (*path, name)
            entry = self.entries.get(".".join(here))
            if entry is None:
                yield f"{indent}{_scalar(name)}:"
                yield from self._lines(value, here, depth + 1)
            else:
                yield from _with_reason(f"{indent}{_scalar(name)}:", value, entry.why, depth)


def _comment(paragraph: str) -> list[str]:
    """Lines of a comment, continued with a hanging indent."""
    depth = len(paragraph) - len(paragraph.lstrip())
    first, others = (f"#{' ' * (depth + 1 + more)}" for more in (0, 2 if depth else 0))
    lines = textwrap.wrap(
        paragraph.strip(), _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    )
    return lines or ["#"]


def _with_reason(head: str, value: Any, why: str, depth: int) -> Iterator[str]:
    """The lines, with the reason on the same line if it fits, and above it otherwise."""
    is_short = len(head) + len(_flow(value)) < _WIDTH and not (isinstance(value, list) and _is_mapping(value))
    is_block = isinstance(value, Mapping | list) and bool(value) and (isinstance(value, Mapping) or not is_short)
    first = head if is_block else f"{head} {_flow(value)}"
    if why and len(first) + len(why) > _WIDTH:
        yield from ("  " * depth + line for line in _comment(why))
        yield first
    else:
        yield f"{first}  # {why}" if why else first
    if is_block:
        yield from _block(value, "  " * (depth + 1))


def _is_mapping(items: list[Any]) -> bool:
    return bool(items) and isinstance(items[0], Mapping)


def _block(value: Mapping[str, Any] | list[Any], indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _with_reason(f"{indent}{_scalar(name)}:", inner, "", len(indent) // 2)
        return
    for item in value:
        lines = _block(item, indent + "  ") if isinstance(item, Mapping) else iter([f"{indent}  {_flow(item)}"])
        yield f"{indent}- {next(lines).lstrip()}"
        yield from lines


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(name))}: {_flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.match(value) and not _NO_TEXT.match(value) and not value.endswith(":"):
        return value
    if re.match(r"--?[A-Za-z][\w-]*$", value):
        return value
    return f"'{value}'" if "'" not in value and value.isprintable() and value else json.dumps(value)
