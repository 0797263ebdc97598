"""One YAML document as plain data, with the position of each part, in bounded time and memory.

The result holds only strings, finite numbers, booleans, null, lists and mappings: no tag can make anything else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dynkv.profile.source import Path, short

NODES_MAX = 30_000
"""Most values and keys, those behind an alias counted each time. A custom unit has about twenty."""
CHARACTERS_MAX = 1024**2
"""Most characters in all strings, counted in the same way."""
DEPTH_MAX = 100
_INTEGER_MAX = 2**63 - 1
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TEXTS = {_TAG + kind for kind in ("str", "timestamp", "merge", "value")}
"""YAML 1.2 has no dates: they stay strings, as written."""
_BASES = {"0b": 2, "0o": 8, "0x": 16}
_UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, RecursionError, AssertionError, NotImplementedError)
"""What ruamel.yaml 0.19 raises besides its own errors, for malformed directives and tags."""
Place = tuple[int, int]
"""Line and column, from 0."""


class Unfit(Exception):
    """The text is not YAML, or is more than a profile can hold."""

    def __init__(self, what: str, hint: str, place: Place | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.place = place


class Document(NamedTuple):
    data: Any
    places: dict[Path, Place]
    """The position of every key and item."""


def parse(text: str) -> Document:
    """Parse the text. Raises Unfit."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text.count("\n") + (not text.endswith("\n"))) from None
    except YAMLError as error:
        raise Unfit(f"not valid YAML: {short(f'{error}'.splitlines()[0])}", "check the file") from None
    except _UNREADABLE:
        raise Unfit("this is YAML that no profile can hold", "write plain text, numbers, lists and mappings") from None
    reader = _Reader()
    return Document(None if root is None else reader.value(root, ()), reader.places)


def _syntax_error(error: MarkedYAMLError, lines: int) -> Unfit:
    at = error.problem_mark
    if at and at.line >= lines and error.context_mark:
        at = error.context_mark  # the start of something that is not closed before the end of the file
    place = (at.line, at.column) if at else None
    return Unfit(f"not valid YAML: {short(error.problem or error.context)}", "check indentation and quotes", place)


class _Composer(Composer):
    """Rejects excessive content as soon as it shows, before all of it is read."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML 1.2 allows an anchor to be redefined
        self._nodes = 0
        self._depth = 0

    def compose_document(self) -> Any:
        event = self.parser.peek_event()
        if event.version not in (None, (1, 2)):
            hint = "remove that line: in YAML 1.1, `no` is false and 010 is eight"
            raise Unfit("a profile is YAML 1.2", hint, _place(event.start_mark))
        return super().compose_document()

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._nodes > NODES_MAX or self._depth > DEPTH_MAX:
            at = self.parser.peek_event().start_mark
            raise _too_many(at) if self._nodes > NODES_MAX else _too_deep(at)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Turns nodes into plain data."""

    def __init__(self) -> None:
        self.places: dict[Path, Place] = {}
        self._nodes = 0
        self._characters = 0
        self._around: dict[int, Node] = {}
        """The nodes that contain the current one, from the outermost to itself."""

    def value(self, node: Node, path: Path) -> Any:
        with self._inside(node):
            if isinstance(node, ScalarNode):
                self._count(node, characters=len(node.value))
                return _scalar(node)
            if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
                return [self._part(it, it, (*path, number)) for number, it in enumerate(node.value)]
            if isinstance(node, MappingNode) and node.tag == _TAG + "map":
                entries = self._entries(node)
                return {key: self._part(at, value, (*path, key)) for key, (at, value) in entries.items()}
        raise _unknown_tag(node)

    def _part(self, at: Node, node: Node, path: Path) -> Any:
        self.places[path] = _place(at.start_mark)
        return self.value(node, path)

    def _entries(self, node: MappingNode) -> Mapping[str, tuple[Node, Node]]:
        """The nodes of each key and its value. A mapping's own keys win over merged ones."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for base in value.value if isinstance(value, SequenceNode) else [value]:
                    merged = {**self._merged(base), **merged}
            elif (name := _name(key)) in own:
                raise Unfit(
                    f'duplicate key "{short(name)}"',
                    "a key may occur once; remove one of them",
                    _place(key.start_mark),
                )
            else:
                own[name] = key, value
        return {**merged, **own}

    def _merged(self, base: Node) -> Mapping[str, tuple[Node, Node]]:
        if not isinstance(base, MappingNode):
            raise Unfit("<< merges mappings, and this is not one", "use an alias of a mapping", _place(base.start_mark))
        with self._inside(base):
            self._count(base, nodes=len(base.value))
            return self._entries(base)

    @contextmanager
    def _inside(self, node: Node) -> Iterator[None]:
        self._count(node, nodes=1)
        if id(node) in self._around:
            raise Unfit("a circle: this is part of itself", "remove the alias from it", _place(node.start_mark))
        if len(self._around) > DEPTH_MAX:
            raise _too_deep(node.start_mark)
        self._around[id(node)] = node
        yield
        del self._around[id(node)]

    def _count(self, node: Node, *, nodes: int = 0, characters: int = 0) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > NODES_MAX or self._characters > CHARACTERS_MAX:
            raise _too_many(node.start_mark)


def _name(key: Node) -> str:
    """A key as it is written: `1` and `true` are names too."""
    if not isinstance(key, ScalarNode):
        raise Unfit("a key must be a string", "a list or a mapping cannot be one", _place(key.start_mark))
    _scalar(key)
    return str(key.value)


def _scalar(node: ScalarNode) -> Any:
    kind, text = str(node.tag), str(node.value)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        hint = "the programs that receive it could not use it"
        raise Unfit("a string cannot contain NUL or half a character", hint, _place(node.start_mark))
    if kind in _TEXTS:
        return text
    if kind == _TAG + "null" and text.lower() in ("", "~", "null"):
        return None
    if kind == _TAG + "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in (_TAG + "int", _TAG + "float"):
        return _number(node, text.replace("_", ""), is_whole=kind == _TAG + "int")
    raise _unknown_tag(node)


def _number(node: ScalarNode, text: str, *, is_whole: bool) -> int | float:
    try:
        number = _integer(text) if is_whole else float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise Unfit(f"{_shown(node)} is not a number", "put strings in quotes", _place(node.start_mark)) from None
    if abs(number) > _INTEGER_MAX if is_whole else not math.isfinite(number):
        raise Unfit(f"{_shown(node)} is too large a number", "put strings in quotes", _place(node.start_mark))
    return number


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    base = _BASES.get(digits[:2])
    number = int(digits[2:], base) if base else int(digits)
    return -number if text.startswith("-") else number


def _shown(node: ScalarNode) -> str:
    return repr(short(node.value))


def _unknown_tag(node: Node) -> Unfit:
    tag = str(node.tag).replace(_TAG, "!!")
    return Unfit(f"a profile cannot use the tag {short(tag)!r}", "remove it", _place(node.start_mark))


def _too_many(at: StringMark) -> Unfit:
    what = f"a profile cannot hold more than {NODES_MAX} values and {CHARACTERS_MAX} characters, including aliases"
    return Unfit(what, "each alias counts as everything that it stands for; write less", _place(at))


def _too_deep(at: StringMark) -> Unfit:
    return Unfit(f"nested deeper than {DEPTH_MAX} levels", "no key of a profile is that deep", _place(at))


def _place(at: StringMark) -> Place:
    return at.line, at.column
