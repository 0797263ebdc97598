"""The keys of a profile, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dynkv.profile.arguments import (
    REFUSED_ARGS,
    REFUSED_FRONTEND_ARGS,
    REFUSED_SIDECAR_ARGS,
    RESERVED_ARGS,
    RESERVED_FRONTEND_ARGS,
    RESERVED_SIDECAR_ARGS,
)
from dynkv.profile.environment import FORBIDDEN_ENV
from dynkv.profile.load import shipped_schema
from generate.markdown import code, sentence, table

Schema = Mapping[str, Any]

HEAD = """# Profile

A profile is a YAML file (YAML 1.2, at most 256 KiB), or comes through a pipe: `dynkv up <(…)`. Every key is optional.
With `extends`, a profile is based on another one, and only contains what differs. `--set KEY=VALUE` overrides one key,
with dots between the parts: `--set frontend.port=8001`.

A key that ends in `_s` or `_seconds` is in seconds, one in `_gb` is in GiB, one in `_mb` in MB. Nothing is converted:
`no` is a string, and `"8000"` is not a number; only words of a command line and environment variables may also be
numbers. An unknown key is an error, and the message names the one that you probably meant.

`dynkv profiles schema` prints the JSON Schema that this page is made from, for your editor.
"""


def page() -> str:
    schema: Schema = json.loads(shipped_schema())
    parts = [HEAD, *_Sections(schema["$defs"]).of("", schema, {})]
    parts += [
        "## What you cannot set",
        "dynkv writes some arguments of the workers, and some environment variables, itself. A profile that "
        "sets them is refused, however they are spelled: with an alias, abbreviated, with underscores or dotted keys.",
        table(("worker argument", "set instead"), [(code(arg), code(key)) for arg, key in RESERVED_ARGS.items()]),
        table(
            ("worker argument", "cannot be planned, because"), [(code(arg), why) for arg, why in REFUSED_ARGS.items()]
        ),
        table(
            ("argument of sidecar or frontend", "set instead"),
            [(f"{code(arg)} of {of}", _instead(key)) for of, reserved in _SERVERS for arg, key in reserved.items()],
        ),
        table(
            ("argument of sidecar or frontend", "cannot be given, because"),
            [(f"{code(arg)} of {of}", why) for of, refused in _REFUSED for arg, why in refused.items()],
        ),
        table(("variable", "because"), [(code(name), why) for name, why in FORBIDDEN_ENV.items()]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_SERVERS = (("the sidecar", RESERVED_SIDECAR_ARGS), ("the frontend", RESERVED_FRONTEND_ARGS))
_REFUSED = (("the sidecar", REFUSED_SIDECAR_ARGS), ("the frontend", REFUSED_FRONTEND_ARGS))


def _instead(key: str) -> str:
    return code(key) if " " not in key else key


class _Sections:
    """Makes a section of the page for each object in the schema."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def of(self, path: str, section: Schema, defaults: Mapping[str, Any]) -> Iterator[str]:
        """The section and those inside it. `defaults`: the defaults where the section is used, which may differ from
        those of its keys."""
        if path:
            yield f"## {path}"
        if path and section.get("description"):
            yield sentence(section["description"])
        rows, inner = [], []
        for name, key in section["properties"].items():
            default = defaults.get(name, key.get("default"))
            rows.append(self._row(name, key, default, is_needed=name in section.get("required", ())))
            inner += [(f"{path}.{name}".lstrip(".") + suffix, found, default) for suffix, found in self._inside(key)]
        yield table(("key", "type", "default", "meaning"), rows) if rows else "Any keys, whose values are texts."
        for where, found, default in inner:
            yield from self.of(where, found, default if isinstance(default, Mapping) else {})

    def _row(self, name: str, key: Schema, default: Any, *, is_needed: bool) -> tuple[str, str, str, str]:
        meaning = key.get("description") or next((it["description"] for _, it in self._inside(key)), "")
        shown = "needed" if is_needed else _default(default)
        return code(name), self._type(key), "" if self._is_section(key) and not is_needed else shown, sentence(meaning)

    def _type(self, key: Schema) -> str:
        if "$ref" in key:
            return "section"
        if "const" in key:
            return code(key["const"])
        if key.get("enum") == ["true", "false"]:
            return "the same as a text"
        if "enum" in key:
            return ", ".join(code(value) for value in key["enum"])
        if "anyOf" in key:
            return " or ".join(it for one in key["anyOf"] if (it := self._type(one)) != "null")
        if "oneOf" in key:
            kinds = [self._type(one) for one in key["oneOf"]]
            return "one of those below" if {*kinds} == {"section"} else " or ".join(kinds)
        if key.get("type") == "array":
            return f"list of {self._type(key['items'])}"
        if key.get("type") == "object":
            return f"mapping of names to {self._type(key['additionalProperties'])}"
        return _NAMES.get(str(key.get("type")), str(key.get("type"))) + _range(key)

    def _is_section(self, key: Schema) -> bool:
        return "$ref" in key

    def _inside(self, key: Schema) -> Iterator[tuple[str, Schema]]:
        """The objects inside a key, each with the suffix of its path."""
        for one in (key, *key.get("anyOf", ())):
            if "$ref" in one:
                yield "", self._found(one)
        for one in (key, *key.get("oneOf", ())):
            if "$ref" in (values := one.get("additionalProperties") or {}):
                yield ".NAME", self._found(values)
        items = key.get("items", {})
        for one in (items, *items.get("oneOf", ())):
            if "$ref" in one:
                found = self._found(one)
                kind = next((it["const"] for key in ("backend", "type") if "const" in (it := _key(found, key))), "")
                yield "[]" + (f" ({kind})" if kind else " (any other)" if "oneOf" in items else ""), found

    def _found(self, key: Schema) -> Schema:
        return self._definitions[key["$ref"].rpartition("/")[2]]


def _key(section: Schema, name: str) -> Schema:
    found: Schema = section["properties"].get(name, {})
    return found


_NAMES = {"integer": "whole number", "string": "text", "boolean": "`true` or `false`"}


def _range(key: Schema) -> str:
    low, high = key.get("minimum"), key.get("maximum")
    if low is not None and high is not None:
        return f", {_number(low)} to {_number(high)}"
    words = [f"from {_number(low)}"] if low is not None else []
    words += [f"above {_number(key['exclusiveMinimum'])}"] if "exclusiveMinimum" in key else []
    words += [f"up to {_number(high)}"] if high is not None else []
    return f", {', '.join(words)}" if words else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def _default(value: Any) -> str:
    if value is None:
        return ""
    return code(value if isinstance(value, str) and value else json.dumps(value))
