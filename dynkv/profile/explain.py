"""pydantic's findings about a profile in words: what is wrong, on which line, and what was probably meant."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dynkv.errors import ProfileError
from dynkv.profile.model import Profile
from dynkv.profile.source import Source, short

_LONGEST = 400
"""Most characters of a message: a wrong key or value can have any length."""


def explain(error: ValidationError, source: Source, file: str) -> ProfileError:
    """The first finding as an error; the message also says how many more there are."""
    details = error.errors(include_url=False)
    first = details[0]
    what, hint = _words(first, source.written(first["loc"]))
    others = len(details) - 1
    more = f" (and {others} more mistake{'s' if others > 1 else ''})" if others else ""
    mark = source.mark(_place(first))
    return ProfileError(
        short(what, _LONGEST) + more,
        where=str(mark) if mark else file,
        hint=hint,
        detail=mark.excerpt() if mark else "",
    )


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    """The key a finding is about; a check across sections names it in its context."""
    key = (detail.get("ctx") or {}).get("key")
    if not isinstance(key, str):
        return detail["loc"]
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _words(detail: ErrorDetails, written: tuple[str | int, ...]) -> tuple[str, str]:
    loc = detail["loc"]
    key = ".".join(map(_part, written))
    if detail["type"] == "extra_forbidden":
        return _unknown_key(loc, written[:-1])
    if detail["type"] == "missing":
        return f"{loc[-1]} is missing in {key}", f"add {loc[-1]}"
    message = detail["msg"]
    if message.startswith("Input should be"):
        return f"{key}{message.removeprefix('Input')}, not {_shown(detail['input'])}", _type_hint(detail)
    return (f"{key}: {message}" if key else message), (detail.get("ctx") or {}).get("hint", "change that line")


def _unknown_key(loc: tuple[str | int, ...], section: tuple[str | int, ...]) -> tuple[str, str]:
    known = _keys_at(loc[:-1])
    name = short(str(loc[-1]))
    near = difflib.get_close_matches(name, known, n=1)
    where = f" in {'.'.join(map(_part, section))}" if section else ""
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {name!r}{where}", hint


def _part(part: str | int) -> str:
    """A part of a key, as a person would write it."""
    text = short(str(part))
    return text if text.isprintable() else repr(text)


def _keys_at(loc: tuple[str | int, ...]) -> list[str]:
    models: list[type[BaseModel]] = [Profile]
    for part in loc:
        inner = [
            m
            for model in models
            if part in model.model_fields
            for m in _models(model.model_fields[str(part)].annotation)
        ]
        models = inner or models
    return sorted({key for model in models for key in model.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models anywhere in a type, as in `list[A | B]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in get_args(annotation) for model in _models(arg)]


def _shown(value: Any) -> str:
    kind = {str: "the text", bool: "", int: "", float: ""}.get(type(value))
    return short(f"{kind} {value!r}".strip()) if kind is not None else f"a {_KINDS.get(type(value), 'value')}"


_KINDS: dict[type, str] = {dict: "mapping", list: "list", type(None): "null"}


def _type_hint(detail: ErrorDetails) -> str:
    if detail["type"] == "bool_type":
        return "write true or false; in YAML 1.2 yes, no, on and off are plain text"
    if detail["type"] == "string_type":
        return "put it in quotes"
    return "change that line; `dynkv profiles schema` has every key with its type"
