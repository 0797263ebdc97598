"""Going through a script as bash would, recording what it starts instead of starting it.

Programs are assumed to succeed. What only they could tell is unknown, and stays so in what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from dynkv.bash.arithmetic import Unknown
from dynkv.bash.builtins import BUILTINS
from dynkv.bash.conditions import Part, negated
from dynkv.bash.grammar import parse, parse_script
from dynkv.bash.programs import told_by
from dynkv.bash.shell import Break, Continue, Exit, Record, Remark, Return, Shell, Started
from dynkv.bash.syntax import (
    Arithmetic,
    Block,
    Case,
    Chain,
    Counting,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Simple,
    Statement,
    Test,
    While,
)
from dynkv.bash.values import Variables, is_known, unknown
from dynkv.bash.words import Unclosed
from dynkv.errors import ScriptError

_TURNS_MAX, _STATEMENTS_MAX, _CALLS_MAX = 300, 20_000, 50
Helper = Callable[[list[str], Variables], str]
"""A function that a script sources, as its output."""


def read_script(
    text: str, path: str, arguments: Sequence[str], environ: Mapping[str, str], helpers: Mapping[str, Helper]
) -> Record:
    """Read a script. Raises ScriptError if the text is not bash from its beginning, or uses more than is supported."""
    record = Record()
    shell = Shell(Variables.of(environ, path, list(arguments)), record, partial(_substituted, helpers))
    try:
        block, record.unread = parse_script(text)
        _Walk(shell, helpers).to_the_end(block)
    except RecursionError:
        raise ScriptError("this is nested too deeply", shell.line) from None
    except Unclosed:
        raise ScriptError("a quotation or an expansion in this command is never closed", shell.line) from None
    if record.unread is not None and not record.started:
        raise record.unread
    return record


class _Walk:
    """A walk through one shell; substitutions and subshells have their own walks."""

    def __init__(self, shell: Shell, helpers: Mapping[str, Helper]) -> None:
        self._shell = shell
        self._helpers = helpers
        self._calls = 0

    def to_the_end(self, block: Block) -> None:
        try:
            self._run(block)
        except Exit as end:
            if not end.is_good and self._shell.printed is None:
                self._shell.record.ended = Remark(self._shell.line, self._shell.said)
        except (Return, Break, Continue):
            pass

    def _run(self, block: Block) -> bool | None:
        for statement in block:
            self._shell.variables.status = self._do(statement)
        return self._shell.variables.status

    def _do(self, statement: Statement) -> bool | None:
        self._shell.record.statements += 1
        if self._shell.record.statements > _STATEMENTS_MAX:
            raise ScriptError("the script does not come to an end here", statement.line)
        self._shell.line = statement.line
        match statement:
            case Simple():
                return self._simple(statement)
            case Test():
                return self._test(statement)
            case Arithmetic():
                return self._arithmetic(statement.text)
            case Chain():
                return self._chain(statement)
            case Pipeline():
                return self._pipeline(statement)
            case If():
                return self._if(statement)
            case For() | Counting() | While():
                return self._loop(statement)
            case Case():
                return self._case(statement)
            case Function():
                self._shell.functions[statement.name] = statement.body
                return True
            case Group():
                return self._group(statement)

    def _simple(self, command: Simple) -> bool | None:
        words = [word for written in command.words for word in self._shell.expander.words(written)]
        if not words:
            for written in command.assignments:
                self._shell.assign(written)
            return self._shell.variables.status if command.assignments else True
        if words[0] in self._shell.functions:
            return self._call(words)
        if words[0] in self._helpers:
            self._shell.print(self._helpers[words[0]](words[1:], self._shell.variables))
            return True
        document = self._document(command)
        if words[0] in BUILTINS:
            return BUILTINS[words[0]](self._shell, words, command, document)
        return self._program(words, command)

    def _document(self, command: Simple) -> str | None:
        token = command.document
        if token is None:
            return None
        if token.text == "<<<":
            return self._shell.expander.text(token.document or "")
        return token.document if token.is_literal else self._shell.expander.document(token.document or "")

    def _program(self, words: list[str], command: Simple) -> bool | None:
        told = told_by(words)
        if told is not None:
            self._shell.print(told)
            return True
        if self._shell.printed is not None:
            self._shell.print(unknown("?"))
            return True
        before = {
            name: self._shell.expander.text(value)
            for name, _, value in (it.partition("=") for it in command.assignments)
        }
        env = {**self._shell.variables.environment(), **before}
        self._shell.record.started.append(Started(command.line, tuple(words), env, command.is_background))
        return True

    def _call(self, words: list[str]) -> bool | None:
        self._calls += 1
        if self._calls > _CALLS_MAX:
            raise ScriptError(f"{words[0]} calls itself without end", self._shell.line)
        kept, self._shell.variables.arguments = self._shell.variables.arguments, words[1:]
        self._shell.hidden.append({})
        try:
            return self._run(self._shell.functions[words[0]])
        except Return as end:
            return end.status
        finally:
            self._calls -= 1
            self._shell.variables.arguments = kept
            for name, value in self._shell.hidden.pop().items():
                if value is None:
                    self._shell.variables.values.pop(name, None)
                else:
                    self._shell.variables.values[name] = value

    def _test(self, test: Test) -> bool | None:
        parts = [
            Part(
                token.text if token.is_operator else self._shell.expander.text(token.text),
                "'" in token.text or '"' in token.text,
            )
            for token in test.words
        ]
        return self._shell.judge(parts)

    def _arithmetic(self, text: str) -> bool | None:
        try:
            return self._shell.expander.number(text) != 0
        except Unknown:
            self._shell.remark(f"whether `(({text.strip()}))` holds is known only at run time; it was taken as false")
            return None

    def _chain(self, chain: Chain) -> bool | None:
        status = self._do(chain.first)
        for operator, statement in chain.others:
            self._shell.variables.status = status
            if bool(status) == (operator == "&&"):
                status = self._do(statement)
        return status

    def _pipeline(self, pipeline: Pipeline) -> bool | None:
        status: bool | None = True
        for part in pipeline.parts:
            if self._shell.printed and part is not pipeline.parts[0]:
                self._shell.printed[:] = [unknown("?")]  # its input is what the previous one printed
            status = self._do(part)
        return negated(status) if pipeline.is_negated else status

    def _if(self, statement: If) -> bool | None:
        for condition, body in statement.branches:
            if self._run(condition):
                return self._run(body)
        self._run(statement.otherwise)
        return True

    def _loop(self, loop: For | Counting | While) -> bool | None:
        begin = self._turns(loop)
        for _ in range(_TURNS_MAX):
            if not begin():
                break
            try:
                self._run(loop.body)
            except Continue:
                continue
            except Break:
                break
        return True

    def _turns(self, loop: For | Counting | While) -> Callable[[], object]:
        """A function that begins the next iteration, and returns whether there is one."""
        if isinstance(loop, While):
            return lambda: bool(self._run(loop.condition)) != loop.is_until
        if isinstance(loop, Counting):
            self._arithmetic(loop.begin)
            steps = iter(["1"])
            return lambda: (
                self._arithmetic(next(steps, loop.step)) is not None
                and (not loop.test.strip() or self._arithmetic(loop.test))
            )
        written = loop.words
        items = (
            self._shell.variables.arguments
            if written is None
            else [item for word in written for item in self._shell.expander.words(word)]
        )
        left = list(reversed(items))

        def next_item() -> bool:
            if left:
                self._shell.variables.values[loop.name] = left.pop()
                return True
            return False

        return next_item

    def _case(self, case: Case) -> bool | None:
        word = self._shell.expander.text(case.word)
        for patterns, body in case.arms:
            tests = [Part(self._shell.expander.text(it), "'" in it or '"' in it) for it in patterns]
            if is_known(word) and any(self._shell.judge([Part(word, True), Part("=="), it]) for it in tests):
                return self._run(body)
        return True

    def _group(self, group: Group) -> bool | None:
        if not group.is_subshell:
            return self._run(group.body)
        inner = self._shell.inner(self._shell.record)
        inner.printed = self._shell.printed
        try:
            return _Walk(inner, self._helpers)._run(group.body)
        except Exit as end:
            return end.is_good


def _substituted(helpers: Mapping[str, Helper], around: Shell, text: str) -> str:
    """The output of a substitution's commands."""
    inner = around.inner(Record(statements=around.record.statements))
    inner.printed = []
    try:
        block = parse(text, around.line)
    except ScriptError:
        return unknown(f"$({text})")
    _Walk(inner, helpers).to_the_end(block)
    around.record.statements = inner.record.statements
    around.variables.status = inner.variables.status
    found = "".join(inner.printed).rstrip("\n")
    return found if is_known(found) else unknown(f"$({' '.join(text.split())})")
