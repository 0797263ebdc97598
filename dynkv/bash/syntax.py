"""The statements of a bash script. Words are as written, with their quotes."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from dynkv.bash.words import Token


class Simple(Struct, frozen=True):
    """A command: assignments before it, words, and its input if a here-document provides it."""

    line: int
    assignments: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    document: Token | None = None
    is_background: bool = False


class Test(Struct, frozen=True):
    """`[[ … ]]`."""

    line: int
    words: tuple[Token, ...]


class Arithmetic(Struct, frozen=True):
    """`(( … ))`."""

    line: int
    text: str


class Chain(Struct, frozen=True):
    """Commands joined by `&&` or `||`; each operator is stored with what follows it."""

    line: int
    first: Statement
    others: tuple[tuple[str, Statement], ...]


class Pipeline(Struct, frozen=True):
    line: int
    parts: tuple[Statement, ...]
    is_negated: bool = False


class If(Struct, frozen=True):
    line: int
    branches: tuple[tuple[Block, Block], ...]
    otherwise: Block = ()


class For(Struct, frozen=True):
    """A loop over words; over the script's arguments if there are none."""

    line: int
    name: str
    words: tuple[str, ...] | None
    body: Block


class Counting(Struct, frozen=True):
    """`for ((begin; test; step))`."""

    line: int
    begin: str
    test: str
    step: str
    body: Block


class While(Struct, frozen=True):
    line: int
    condition: Block
    body: Block
    is_until: bool = False


class Case(Struct, frozen=True):
    line: int
    word: str
    arms: tuple[tuple[tuple[str, ...], Block], ...]


class Function(Struct, frozen=True):
    line: int
    name: str
    body: Block


class Group(Struct, frozen=True):
    """`{ … }` or `( … )`."""

    line: int
    body: Block
    is_subshell: bool = False


Statement = Simple | Test | Arithmetic | Chain | Pipeline | If | For | Counting | While | Case | Function | Group
Block = tuple[Statement, ...]


def in_background(statement: Statement) -> Statement:
    """The statement with what it starts left running; for more than one command, only the last."""
    if isinstance(statement, Simple):
        return replace(statement, is_background=True)
    if isinstance(statement, Pipeline):
        return replace(statement, parts=tuple(in_background(part) for part in statement.parts))
    return statement
