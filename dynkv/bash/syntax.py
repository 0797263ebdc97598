"""The statements of a bash script. Words are as written, with their quotes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynkv.bash.words import Token


@dataclass(frozen=True, slots=True)
class Simple:
    """A command: assignments before it, words, and its input if a here-document provides it."""

    line: int
    assignments: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    document: Token | None = None
    is_background: bool = False


@dataclass(frozen=True, slots=True)
class Test:
    """`[[ … ]]`."""

    line: int
    words: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`(( … ))`."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Commands joined by `&&` or `||`; each operator is stored with what follows it."""

    line: int
    first: Statement
    others: tuple[tuple[str, Statement], ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    line: int
    parts: tuple[Statement, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class If:
    line: int
    branches: tuple[tuple[Block, Block], ...]
    otherwise: Block = ()


@dataclass(frozen=True, slots=True)
class For:
    """A loop over words; over the script's arguments if there are none."""

    line: int
    name: str
    words: tuple[str, ...] | None
    body: Block


@dataclass(frozen=True, slots=True)
class Counting:
    """`for ((begin; test; step))`."""

    line: int
    begin: str
    test: str
    step: str
    body: Block


@dataclass(frozen=True, slots=True)
class While:
    line: int
    condition: Block
    body: Block
    is_until: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    line: int
    word: str
    arms: tuple[tuple[tuple[str, ...], Block], ...]


@dataclass(frozen=True, slots=True)
class Function:
    line: int
    name: str
    body: Block


@dataclass(frozen=True, slots=True)
class Group:
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
