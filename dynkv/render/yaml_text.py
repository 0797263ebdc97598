"""Plain data as YAML: in its own order, texts that have several lines as blocks, and nothing that YAML 1.1 misreads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

_MISREAD = re.compile(
    r"(?:y|yes|n|no|on|off|true|false|null|~|=|<<|[-+.\d_:]+(?:e[-+]?\d+)?|[-+]?0[xob][\da-f_]+|[-+]?\.?(?:inf|nan)"
    r"|\d{4}-\d\d?-\d\d?.*)?",
    re.IGNORECASE,
)
"""Texts that a reader of YAML 1.1, as those of Kubernetes and Compose are, mistakes unless they are quoted."""
_BLOCK = re.compile(r"(?:\S(?:[^\n]*\S)?\n)(?:[^\n]*\S\n)+")
"""Texts of lines that lose nothing as a block: no space at an end, none at the very beginning."""
_WIDTH = 4096
"""No line is broken: an argument stays one."""


def as_yaml(document: Any, head: Iterable[str] = ()) -> str:
    """One document below a comment of `head`, line by line."""
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    found: list[bytes] = []
    yaml.dump(_written(document), _Into(found))
    return "".join(f"# {line}".rstrip() + "\n" for line in head) + b"".join(found).decode()


class _Into:
    """What ruamel.yaml writes to."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def write(self, part: bytes) -> None:
        self._parts.append(part)

    def flush(self) -> None:
        pass


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {_written(name): _written(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_written(inner) for inner in value]
    return _text(str(value)) if isinstance(value, str) else value


def _text(text: str) -> Any:
    if _BLOCK.fullmatch(text) and all(line.isprintable() for line in text.splitlines()):
        return LiteralScalarString(text)
    return text if text.isprintable() and not _MISREAD.fullmatch(text) else DoubleQuotedScalarString(text)
