"""Plain data as YAML: in its own order, with multi-line text as blocks, and nothing that YAML 1.1 misreads."""

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
"""Text that a YAML 1.1 parser, such as those of Kubernetes and Compose, misreads unless it is quoted."""
_BLOCK = re.compile(r"(?:\S(?:[^\n]*\S)?\n)(?:[^\n]*\S\n)+")
"""Multi-line text that a block preserves: no space at a line's end, none at the very beginning."""
_WIDTH = 4096
"""Wide enough not to break any line: an argument stays on one."""


def as_yaml(document: Any, head: Iterable[str] = ()) -> str:
    """One document below a comment of the lines in `head`."""
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    found: list[bytes] = []
    yaml.dump(_written(document), _Into(found))
    return "".join(f"# {line}".rstrip() + "\n" for line in head) + b"".join(found).decode()


class _Into:
    """The stream that ruamel.yaml writes to."""

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
