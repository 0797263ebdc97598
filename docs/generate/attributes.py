"""The fields of classes and their descriptions: the text below each field in the source."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

from generate.markdown import code, one_line, sentence, table

_IN_JSON = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "`true` or `false`",
    "None": "`null`",
    "dict[str, Any]": "object",
    "dict[str, int]": "object of whole numbers",
    "dict[str, str]": "object of texts",
    "dict[str, float | int | None]": "object of numbers or `null`",
}
"""JSON's names of Python's types."""
_SPELT = {"None": "null", "True": "true", "False": "false"}


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    kind: str
    """The JSON type."""
    description: str


def attributes(module: ModuleType) -> dict[str, list[Attribute]]:
    """The attributes of each class of a module, in the module's order."""
    return {name: list(_of_class(body)) for name, body in _classes(module)}


def members(module: ModuleType, enumeration: str) -> dict[str, str]:
    """The text below each member of an enumeration; empty if there is none."""
    body = dict(_classes(module))[enumeration]
    return {ast.unparse(it.targets[0]): text for it, text in _with_text(body) if isinstance(it, ast.Assign)}


def fields(found: Sequence[Attribute]) -> str:
    return table(("field", "type", "meaning"), [(code(it.name), it.kind, it.description) for it in found])


def docstring(thing: object) -> str:
    """The docstring as one line."""
    return one_line(inspect.getdoc(thing) or "")


def _classes(module: ModuleType) -> Iterator[tuple[str, list[ast.stmt]]]:
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            yield node.name, node.body


def _of_class(body: list[ast.stmt]) -> Iterator[Attribute]:
    for statement, text in _with_text(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield Attribute(statement.target.id, _in_json(ast.unparse(statement.annotation)), text)


def _in_json(kind: str) -> str:
    if kind in _IN_JSON:
        return _IN_JSON[kind]
    if match := re.fullmatch(r"tuple\[(.+), \.\.\.\]", kind):
        return f"list of {_in_json(match[1])}"
    if " | " in kind:
        return " or ".join(map(_in_json, kind.split(" | ")))
    return {"State": "state of a unit", "DeploymentState": "state", "StandbyState": "state"}.get(
        kind, f"{kind} (below)"
    )


def _with_text(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Each statement with the string literal below it, or with an empty text."""
    for statement, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield statement, _as_json(sentence(str(below.value.value)))
        else:
            yield statement, ""


def _as_json(text: str) -> str:
    """The text with Python's constants spelled as in JSON."""
    return re.sub(r"\b(None|True|False)\b", lambda found: code(_SPELT[found[0]]), text)
