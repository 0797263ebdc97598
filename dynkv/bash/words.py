"""The words and operators of a bash script, as written.

Source: bash(1), "Definitions" and "Quoting", GNU bash 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from dynkv.errors import ScriptError

_OPERATORS = (";;&", "<<<", "<<-", "&>>", ";;", ";&", "&&", "||", "|&", "<<", ">>", ">&", "<&", "<>", ">|", "&>", "((")
_SINGLE = ";&|()<>\n"
REDIRECTIONS = frozenset("< > >> << <<- <<< >& <& <> >| &> &>>".split())
_ARRAY = re.compile(r"[A-Za-z_]\w*(\[[^]\s]*\])?\+?=\(")
"""The beginning of `NAME=(…)`, which is one word."""
_RUN = re.compile(r"[^\\'\"`$\s;&|()<>]+")
"""Characters that stand for themselves and end no word."""
_DESCRIPTOR = re.compile(r"\d+(?=[<>])")


class Token(Struct, frozen=True):
    """A word with its quotes, or an operator. `line` counts from 1."""

    text: str
    line: int
    is_operator: bool = False
    document: str | None = None
    """The content of a here-document, for its operator."""
    is_literal: bool = False
    """Whether the delimiter is quoted, so that the document is not expanded."""

    def is_word(self, *texts: str) -> bool:
        return not self.is_operator and self.text in texts

    def is_op(self, *texts: str) -> bool:
        return self.is_operator and self.text in texts


class Reader:
    """Reads one script from beginning to end."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = self._first_line = first_line
        self._documents: list[tuple[int, str]] = []
        """Here-documents that begin on the next line: the index of their operator, and how they end."""

    def tokens(self) -> list[Token]:
        """The tokens. Raises ScriptError if a quote or a bracket is not closed."""
        found: list[Token] = []
        try:
            for token in self._tokens():
                if found and found[-1].is_op("<<", "<<-") and not token.is_operator:
                    self._documents.append((len(found) - 1, token.text))
                found.append(token)
                if token.is_op("\n"):
                    self._read_documents(found)
        except Unclosed as error:
            line = self._first_line + self._text.count("\n", 0, error.at)
            raise ScriptError(f"the {self._text[error.at]} here is never closed", line) from None
        return found

    def _tokens(self) -> Iterator[Token]:
        while True:
            self._skip_blanks()
            if self._at >= len(self._text):
                return
            line = self._line
            if descriptor := _DESCRIPTOR.match(self._text, self._at):
                self._at = descriptor.end()
            operator = self._operator()
            if operator == "((":
                yield Token(self._arithmetic(), line)
            elif operator:
                yield Token(operator, line, is_operator=True)
            else:
                yield Token(self._word(), line)

    def _skip_blanks(self) -> None:
        while self._at < len(self._text):
            if self._text.startswith("\\\n", self._at):
                self._at += 2
                self._line += 1
            elif self._text[self._at] in " \t":
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return

    def _operator(self) -> str:
        if self._text.startswith(("<(", ">("), self._at):
            return ""
        for operator in _OPERATORS:
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        letter = self._text[self._at]
        if letter not in _SINGLE:
            return ""
        self._at += 1
        self._line += letter == "\n"
        return letter

    def _arithmetic(self) -> str:
        """Read `((…))` after its two opening brackets."""
        start = self._at
        end = closing(self._text, start, "(", ")")
        if self._text[end : end + 2] != "))":
            raise Unclosed(start - 2)
        self._at = end + 2
        self._line += self._text.count("\n", start, end)
        return f"(({self._text[start:end]}))"

    def _word(self) -> str:
        start = self._at
        if array := _ARRAY.match(self._text, start):
            self._at = array.end()
            self._at = closing(self._text, self._at, "(", ")") + 1
        while self._at < len(self._text) and self._text[self._at] not in " \t" + _SINGLE:
            run = _RUN.match(self._text, self._at)
            self._at = run.end() if run else past(self._text, self._at)
        if self._at == start:  # <( or >(
            self._at = closing(self._text, start + 2, "(", ")") + 1
        self._line += self._text.count("\n", start, self._at)
        return self._text[start : self._at]

    def _read_documents(self, found: list[Token]) -> None:
        for index, delimiter in self._documents:
            operator, lines = found[index], []
            end = re.sub(r"[\"'\\]", "", delimiter)
            while self._at < len(self._text):
                line, _, _ = self._text[self._at :].partition("\n")
                self._at += len(line) + 1
                self._line += 1
                bare = line.lstrip("\t") if operator.text == "<<-" else line
                if bare == end:
                    break
                lines.append(bare + "\n")
            found[index] = Token(operator.text, operator.line, True, "".join(lines), end != delimiter)
        self._documents = []


class Unclosed(Exception):
    """A quotation or an expansion is not closed; `at` is where it begins."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def past(text: str, at: int) -> int:
    """The position after the character, quotation or expansion at `at`. Raises Unclosed."""
    letter = text[at]
    if letter == "\\":
        return min(at + 2, len(text))
    if letter == "'":
        return _after(text, "'", at + 1, at)
    if text.startswith("$'", at):
        end = re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL).match(text, at + 2)
        if end is None:
            raise Unclosed(at)
        return end.end()
    if letter == '"':
        return _quoted(text, at)
    if letter == "`":
        return _after(text, "`", at + 1, at)
    for beginning, opening, ending in (("$((", "(", "))"), ("$(", "(", ")"), ("${", "{", "}")):
        if text.startswith(beginning, at):
            found = closing(text, at + len(beginning), opening, ending[0])
            if text.startswith(ending, found):
                return found + len(ending)  # otherwise it is a subshell in a substitution
    return at + 1


def closing(text: str, at: int, opening: str, end: str) -> int:
    """The position of the bracket that closes the one opened before `at`."""
    start, depth = at, 1
    while at < len(text):
        letter = text[at]
        if letter == end:
            depth -= 1
            if depth == 0:
                return at
        elif letter == opening and end == ")":
            depth += 1
        elif letter == "#" and end == ")" and text[at - 1] in " \t\n":
            at = text.find("\n", at)
            if at < 0:
                break
        at = past(text, at)
    raise Unclosed(max(0, start - 1))


def _quoted(text: str, start: int) -> int:
    at = start + 1
    while at < len(text):
        if text[at] == '"':
            return at + 1
        at = past(text, at) if text[at] in "\\$`" else at + 1
    raise Unclosed(start)


def _after(text: str, end: str, at: int, start: int) -> int:
    found = text.find(end, at)
    if found < 0:
        raise Unclosed(start)
    return found + 1
