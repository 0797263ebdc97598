"""From the words of a bash script to its statements. Source: bash(1), "Shell Grammar", GNU bash 5.2."""

from __future__ import annotations

import re

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
    in_background,
)
from dynkv.bash.words import REDIRECTIONS, Reader, Token
from dynkv.errors import ScriptError

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=")
_END = Token("", 0, is_operator=True)
_COUNTING_PARTS = 3
_DEPTH_MAX = 100
_CLOSING = ("then", "elif", "else", "fi", "do", "done", "esac", "}")


def parse(text: str, first_line: int = 1) -> Block:
    """Parse a script. Raises ScriptError if it is not bash, or uses more than is supported here."""
    parser = _Parser(Reader(text, first_line).tokens())
    block = parser.block()
    if not parser.is_at_end:
        raise parser.unexpected()
    return block


def parse_script(text: str) -> tuple[Block, ScriptError | None]:
    """The readable part of a script, and why the rest cannot be read: bash too runs what precedes a mistake.

    Raises ScriptError if a quote or a bracket is not closed.
    """
    parser = _Parser(Reader(text, 1).tokens())
    try:
        parser.block()
        return tuple(parser.read), None if parser.is_at_end else parser.unexpected()
    except ScriptError as problem:
        return tuple(parser.read), problem


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.read: list[Statement] = []
        """Top-level statements."""
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def _next(self) -> Token:
        return _END if self.is_at_end else self._tokens[self._at]

    def unexpected(self) -> ScriptError:
        if self.is_at_end:
            return ScriptError("the script ends in the middle of something", self._tokens[-1].line)
        return ScriptError(f"{self._next.text.strip() or 'the end of the line'} is not expected here", self._next.line)

    def block(self) -> Block:
        """Statements up to a word or an operator that ends the enclosing one."""
        if self._depth == _DEPTH_MAX:
            raise ScriptError("this is nested too deeply", self._next.line)
        self._depth += 1
        found: list[Statement] = self.read if self._depth == 1 else []
        while True:
            while self._next.is_op("\n", ";"):
                self._at += 1
            if self.is_at_end or self._next.is_op(")", ";;", ";&", ";;&") or self._next.is_word(*_CLOSING):
                self._depth -= 1
                return tuple(found)
            statement = self._chain()
            if self._next.is_op("&"):
                self._at += 1
                statement = in_background(statement)
            elif not (self.is_at_end or self._next.is_op(";", "\n", ")", ";;", ";&", ";;&")):
                raise self.unexpected()
            found.append(statement)

    def _chain(self) -> Statement:
        line, first, others = self._next.line, self._pipeline(), []
        while self._next.is_op("&&", "||"):
            operator = self._take().text
            self._skip_lines()
            others.append((operator, self._pipeline()))
        return Chain(line, first, tuple(others)) if others else first

    def _pipeline(self) -> Statement:
        line, is_negated = self._next.line, False
        while self._next.is_word("!", "time"):
            is_negated ^= self._take().text == "!"
        parts = [self._command()]
        while self._next.is_op("|", "|&"):
            self._at += 1
            self._skip_lines()
            parts.append(self._command())
        return parts[0] if len(parts) == 1 and not is_negated else Pipeline(line, tuple(parts), is_negated)

    def _command(self) -> Statement:
        token = self._next
        readers = {
            "if": self._if,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "case": self._case,
            "function": self._function,
            "[[": self._test,
            "{": self._braces,
        }
        if token.is_op("("):
            return self._subshell()
        if not token.is_operator and token.text.startswith("(("):
            self._at += 1
            return self._redirected(Arithmetic(token.line, token.text[2:-2]))
        if not token.is_operator and token.text in readers:
            return self._redirected(readers[token.text]())
        if self._names_a_function():
            return self._function()
        return self._simple()

    def _simple(self) -> Statement:
        line, start = self._next.line, self._at
        assignments: list[str] = []
        words: list[str] = []
        document = None
        while not self.is_at_end:
            token = self._next
            if token.is_operator and token.text in REDIRECTIONS:
                document = self._redirection() or document
            elif token.is_operator:
                break
            else:
                self._at += 1
                is_assignment = not words and _ASSIGNMENT.match(token.text)
                (assignments if is_assignment else words).append(token.text)
        if self._at == start:
            raise self.unexpected()
        return Simple(line, tuple(assignments), tuple(words), document)

    def _redirection(self) -> Token | None:
        """The operator of a here-document; None for files."""
        operator = self._take()
        if self._next.is_operator:
            raise self.unexpected()
        target = self._take()
        if operator.text == "<<<":
            return Token("<<<", operator.line, True, target.text)
        return operator if operator.document is not None else None

    def _redirected(self, statement: Statement) -> Statement:
        while self._next.is_operator and self._next.text in REDIRECTIONS:
            self._redirection()
        return statement

    def _if(self) -> Statement:
        line, branches = self._next.line, []
        otherwise: Block = ()
        while self._next.is_word("if", "elif"):
            self._at += 1
            condition = self.block()
            self._expect("then")
            branches.append((condition, self.block()))
        if self._next.is_word("else"):
            self._at += 1
            otherwise = self.block()
        self._expect("fi")
        return If(line, tuple(branches), otherwise)

    def _for(self) -> Statement:
        line = self._take().line
        head = self._take()
        if head.text.startswith("(("):
            parts = head.text[2:-2].split(";")
            if len(parts) != _COUNTING_PARTS:
                raise ScriptError("for (( needs three parts", line)
            begin, test, step = parts
            return Counting(line, begin, test, step, self._loop_body())
        words = None
        self._skip_lines()
        if self._next.is_word("in"):
            self._at += 1
            words = tuple(self._words_to_the_end_of_the_line())
        return For(line, head.text, words, self._loop_body())

    def _loop_body(self) -> Block:
        self._skip_lines(";")
        self._expect("do")
        body = self.block()
        self._expect("done")
        return body

    def _while(self) -> Statement:
        head = self._take()
        condition = self.block()
        return While(head.line, condition, self._loop_body(), head.text == "until")

    def _case(self) -> Statement:
        line, word, arms = self._take().line, self._take().text, []
        self._skip_lines()
        self._expect("in")
        self._skip_lines()
        while not self._next.is_word("esac"):
            if self._next.is_op("("):
                self._at += 1
            patterns = []
            while not self._next.is_op(")"):
                if self.is_at_end:
                    raise self.unexpected()
                patterns += [] if self._next.is_op("|") else [self._next.text]
                self._at += 1
            self._at += 1
            arms.append((tuple(patterns), self.block()))
            if self._next.is_op(";;", ";&", ";;&"):
                self._at += 1
            self._skip_lines()
        self._expect("esac")
        return Case(line, word, tuple(arms))

    def _names_a_function(self) -> bool:
        after = self._tokens[self._at + 1 : self._at + 3]
        return not self._next.is_operator and [token.text for token in after if token.is_operator] == ["(", ")"]

    def _function(self) -> Statement:
        if self._next.is_word("function"):
            self._at += 1
        head = self._take()
        for bracket in "()":
            if self._next.is_op(bracket):
                self._at += 1
        self._skip_lines()
        body = self._command()
        return Function(head.line, head.text, body.body if isinstance(body, Group) else (body,))

    def _test(self) -> Statement:
        line, found = self._take().line, []
        while not self._next.is_word("]]"):
            if self.is_at_end:
                raise self.unexpected()
            found.append(self._take())
        self._at += 1
        return Test(line, tuple(token for token in found if not token.is_op("\n")))

    def _braces(self) -> Statement:
        line = self._take().line
        body = self.block()
        self._expect("}")
        return Group(line, body)

    def _subshell(self) -> Statement:
        line = self._take().line
        body = self.block()
        if not self._next.is_op(")"):
            raise self.unexpected()
        self._at += 1
        return self._redirected(Group(line, body, is_subshell=True))

    def _words_to_the_end_of_the_line(self) -> list[str]:
        found = []
        while not self._next.is_operator:
            found.append(self._take().text)
        return found

    def _take(self) -> Token:
        if self.is_at_end:
            raise self.unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, word: str) -> None:
        if not self._next.is_word(word):
            raise self.unexpected()
        self._at += 1

    def _skip_lines(self, *others: str) -> None:
        while self._next.is_op("\n", *others):
            self._at += 1
