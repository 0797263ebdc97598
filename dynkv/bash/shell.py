"""The state of a shell during reading: its variables, its output, and what was seen of the script."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from dynkv.bash.conditions import Part, judge
from dynkv.bash.expansion import Expander, array_items
from dynkv.bash.syntax import Block
from dynkv.bash.values import Value, Variables, readable
from dynkv.bash.words import Reader
from dynkv.errors import ScriptError


class Started(Struct, frozen=True):
    """A program that the script would run. Unknown parts of `argv` and `env` are marked (see values.py)."""

    line: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Exported variables, and those given before the command."""
    is_background: bool = False


class Remark(Struct, frozen=True):
    line: int
    text: str


class Record(Struct):
    """What was seen of a script."""

    started: list[Started] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    ended: Remark | None = None
    """Where the script ends itself with an error, and its message."""
    unread: ScriptError | None = None
    """Why the rest cannot be read, if so."""
    statements: int = 0
    """Number of statements read."""


class Exit(Exception):
    def __init__(self, is_good: bool) -> None:
        super().__init__()
        self.is_good = is_good


class Return(Exception):
    def __init__(self, status: bool | None) -> None:
        super().__init__()
        self.status = status


class Break(Exception):
    pass


class Continue(Exception):
    pass


Substitute = Callable[["Shell", str], str]
"""The output of a substitution's commands."""


class Shell:
    def __init__(self, variables: Variables, record: Record, substitute: Substitute) -> None:
        self.variables = variables
        self.record = record
        self.functions: dict[str, Block] = {}
        self.printed: list[str] | None = None
        """Output for a substitution; None if it goes to the terminal."""
        self.said = ""
        """The last line printed to the terminal."""
        self.line = 1
        self.hidden: list[dict[str, Value | None]] = []
        """Earlier values of variables that running functions have made local."""
        self._substitute = substitute
        self.expander = Expander(variables, lambda text: substitute(self, text))

    def inner(self, record: Record) -> Shell:
        """A shell with the same state, which cannot change this one."""
        inner = Shell(self.variables.copied(), record, self._substitute)
        inner.functions = dict(self.functions)
        inner.line = self.line
        return inner

    def print(self, text: str) -> None:
        if self.printed is not None:
            self.printed.append(text)
        elif text.strip():
            self.said = readable(text.strip().splitlines()[-1])

    def remark(self, text: str) -> None:
        self.record.remarks.append(Remark(self.line, readable(text)))

    def assign(self, written: str) -> str:
        """Carry out `NAME=value`, `NAME+=value` or an array assignment; returns the name."""
        head, _, value = written.partition("=")
        adds = head.endswith("+")
        name, _, index = head.rstrip("+").partition("[")
        variables = self.variables
        if value.startswith("(") and written.endswith(")"):
            items = [item for word in _array_words(written) for item in self.expander.words(word)]
            variables.put(name, [*variables.items(name), *items] if adds else items)
        elif index or (adds and isinstance(variables.get(name), list)):
            variables.put(name, [*variables.items(name), self.expander.text(value)])
        else:
            text = self.expander.text(value)
            variables.put(name, (variables.text(name) or "") + text if adds else text)
        return name

    def judge(self, parts: list[Part]) -> bool | None:
        """The result of `[[ … ]]`; what only running the script would show is remarked."""
        found = judge(parts, self.expander.number, lambda name: self.variables.get(name) is not None)
        if found is None:
            shown = " ".join(readable(part.text) for part in parts)
            self.remark(f"whether `{shown}` holds is known only at run time; it was taken as false")
        return found


def _array_words(written: str) -> list[str]:
    """The words between the brackets of an array, over several lines."""
    return [token.text for token in Reader(array_items(written)).tokens() if not token.is_operator]
