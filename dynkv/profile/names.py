"""Names by which clients may request the model: one, or several of which all but the first are aliases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

_SPLIT = re.compile(r"[\s,]+")
"""Where the workers split one name into several."""
NAME_BYTES_MAX = 200
"""Longest name in bytes. The frontend makes a directory of it, and never gets ready with one of 256 (ai-dynamo
1.6.1)."""


def split(text: str) -> list[str]:
    """The names that the workers would make of one."""
    return [name for name in _SPLIT.split(text) if name]


def unsplit(text: str) -> str:
    """The nearest name to `text` that is neither split nor an option; empty if nothing is left."""
    return "-".join(split(text)).lstrip("-")


def _check_name(name: str) -> str:
    for is_wrong, problem, hint in _RULES:
        if is_wrong(name):
            raise PydanticCustomError("name", "{problem}", {"problem": problem(name), "hint": hint(name)})
    return name


def _several(name: str) -> str:
    count = len(split(name))
    taken = f"for {count} names" if count > 1 else "without the characters around it"
    return f"the workers take {name!r} {taken}, since they split it at spaces and commas"


def _instead(name: str) -> str:
    apart = split(name)
    if len(apart) < 2:
        return f"write {unsplit(name)}" if unsplit(name) else "write a name, or leave model.served_name out"
    return f"write {unsplit(name)} for one name, or [{', '.join(apart)}] for {len(apart)}"


_RULES: tuple[tuple[Callable[[str], bool], Callable[[str], str], Callable[[str], str]], ...] = (
    (
        lambda name: not split(name),
        lambda _: "a model's name is empty",
        lambda _: "write a name, or leave model.served_name out: a directory is then called by its last part",
    ),
    (lambda name: _SPLIT.search(name) is not None, _several, _instead),
    (
        lambda name: name.startswith("-"),
        lambda name: f"{name!r} begins with a dash, so the workers would take it for an option",
        _instead,
    ),
    (
        lambda name: not name.isprintable(),
        lambda name: f"{name!r} contains invisible characters",
        lambda _: "write a name that clients can type",
    ),
    (
        lambda name: len(name.encode()) > NAME_BYTES_MAX,
        lambda name: f"a model's name has {len(name.encode())} bytes",
        lambda _: f"write a shorter one: at most {NAME_BYTES_MAX} bytes",
    ),
)
"""What can be wrong with a name, the message, and what to write instead; the first match counts."""


def _check_names(names: list[str]) -> list[str]:
    for name, count in Counter(names).items():
        if count > 1:
            raise PydanticCustomError("name", "{name} occurs twice", {"name": name, "hint": "remove one"})
    return names


def _kind(given: Any) -> str:
    return "several" if isinstance(given, list) else "one"


_Name = Annotated[str, AfterValidator(_check_name)]
_Names = Annotated[list[_Name], Field(min_length=1, max_length=100), AfterValidator(_check_names)]
ServedName = Annotated[Annotated[_Name, Tag("one")] | Annotated[_Names, Tag("several")], Discriminator(_kind)]
