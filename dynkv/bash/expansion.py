"""From a word as written to what a program would get. Source: bash(1), "Expansion", GNU bash 5.2."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

from dynkv.bash.arithmetic import Unknown, compute
from dynkv.bash.values import Variables, is_known, unknown
from dynkv.bash.words import closing, past

_PARAMETER = re.compile(
    r"(?P<mark>[#!]?)(?P<name>[A-Za-z_]\w*|[0-9]{1,4}|[@*#?$!])(?:\[(?P<index>[^]]*)\])?"
    r"(?P<operation>:?[-+=?]|##?|%%?|//?|:|,,?|\^\^?|@)?(?P<rest>.*)$",
    re.DOTALL,
)
_PLAIN = re.compile(r"[A-Za-z_]\w*|[0-9]|[@*#?$!]")
_RANGE = re.compile(r"(.*)\{(-?[0-9]{1,9})\.\.(-?[0-9]{1,9})\}(.*)$", re.DOTALL)
_CHOICES = re.compile(r"([^{}'\"$\\]*)\{([^{}'\"$\\]*,[^{}'\"$\\]*)\}(.*)$", re.DOTALL)
_PLAIN_RUN, _QUOTED_RUN = re.compile(r"[^\\'\"`$]+"), re.compile(r"[^\\`$]+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_RANGE_MAX = 1000
_DEPTH_MAX = 50

Substitute = Callable[[str], str]
"""The output of a command, by its text."""


class _Fields:
    """Words under construction: quoted text joins the current one, unquoted text is split at blanks."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._current: str | None = None

    def put(self, text: str) -> None:
        self._current = (self._current or "") + text

    def split(self, text: str) -> None:
        first, *others = re.split(r"[ \t\n]+", text) if is_known(text) else [text]
        if first:
            self.put(first)
        for part in others:
            self.end()
            if part:
                self.put(part)

    def put_all(self, items: list[str]) -> None:
        """Add `"${array[@]}"`: one word for each item; none for an empty array."""
        for number, item in enumerate(items):
            if number:
                self.end()
            self.put(item)

    def end(self) -> None:
        if self._current is not None:
            self.done.append(self._current)
        self._current = None


class Expander:
    def __init__(self, variables: Variables, substitute: Substitute) -> None:
        self._variables = variables
        self._substitute = substitute
        self._depth = 0

    def words(self, written: str) -> list[str]:
        """Expand as arguments of a program: braces, variables, commands, then splitting at blanks. Files are not
        matched."""
        return [field for part in braces(written) for field in self._fields(part)]

    def text(self, written: str) -> str:
        """Expand as the value of an assignment: nothing is split."""
        fields = _Fields()
        self._expand(written, fields, is_split=False)
        fields.end()
        return " ".join(fields.done)

    def document(self, written: str) -> str:
        """Expand as in double quotes, except that quotes are literal."""
        fields = _Fields()
        self._expand_quoted(written, fields)
        fields.end()
        return "".join(fields.done)

    def number(self, written: str) -> int:
        """The value of an arithmetic expression. Raises Unknown."""
        text = self.document(written)
        if not is_known(text):
            raise Unknown
        return compute(text, self._variables)

    def _fields(self, written: str) -> list[str]:
        fields = _Fields()
        self._expand(written, fields, is_split=True)
        fields.end()
        return fields.done

    def _expand(self, written: str, fields: _Fields, *, is_split: bool) -> None:
        at = 0
        if written.startswith("~") and (home := self._variables.text("HOME")) and written[1:2] in ("", "/"):
            fields.put(home)
            at = 1
        while at < len(written):
            if plain_run := _PLAIN_RUN.match(written, at):
                fields.put(plain_run[0])
                at = plain_run.end()
                continue
            end = past(written, at)
            piece = written[at:end]
            at = end
            if piece.startswith("$") and len(piece) == 1 and (plain := _PLAIN.match(written, at)):
                piece, at = f"${{{plain[0]}}}", plain.end()
            self._expand_piece(piece, fields, is_split=is_split)

    def _expand_piece(self, piece: str, fields: _Fields, *, is_split: bool) -> None:
        if piece.startswith("$'"):
            fields.put(re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), piece[2:-1], flags=re.DOTALL))
        elif piece.startswith("'"):
            fields.put(piece[1:-1])
        elif piece.startswith('"'):
            self._put_quoted(piece[1:-1], fields)
        elif piece.startswith("\\"):
            fields.put("" if piece == "\\\n" else piece[1:])
        elif piece.startswith(("$", "`")) and len(piece) > 1:
            found = self._expansion(piece)
            text = " ".join(found) if isinstance(found, list) else found
            (fields.split if is_split else fields.put)(text)
        else:
            fields.put(piece)

    def _put_quoted(self, inner: str, fields: _Fields) -> None:
        """Add text in double quotes, which is a word even if it is empty, unless it is only an array's items."""
        if not re.fullmatch(r"\$(?:@|\{[^}]*\[@\]\}|\{@[^}]*\})", inner):
            fields.put("")
        self._expand_quoted(inner, fields)

    def _expand_quoted(self, inner: str, fields: _Fields) -> None:
        at = 0
        while at < len(inner):
            letter = inner[at]
            if plain_run := _QUOTED_RUN.match(inner, at):
                fields.put(plain_run[0])
                at = plain_run.end()
            elif letter == "\\" and inner[at + 1 : at + 2] in ("$", "`", '"', "\\", "\n"):
                fields.put("" if inner[at + 1] == "\n" else inner[at + 1])
                at += 2
            elif letter in "$`" and (end := past(inner, at)) > at + 1 and not inner.startswith("$'", at):
                found = self._expansion(inner[at:end])
                fields.put_all(found) if isinstance(found, list) else fields.put(found)
                at = end
            elif letter == "$" and (plain := _PLAIN.match(inner, at + 1)):
                found = self._expansion(f"${{{plain[0]}}}")
                fields.put_all(found) if isinstance(found, list) else fields.put(found)
                at = plain.end()
            else:
                fields.put(letter)
                at += 1

    def _expansion(self, piece: str) -> str | list[str]:
        """Expand `$((…))`, `$(…)`, `` `…` `` or `${…}`."""
        if piece.startswith("$((") and piece.endswith("))"):
            try:
                return str(self.number(piece[3:-2]))
            except Unknown:
                return unknown(piece)
        if piece.startswith(("$(", "`")):
            return self._substitute(piece[2:-1] if piece.startswith("$(") else piece[1:-1])
        return self._parameter(piece[2:-1])

    def _parameter(self, inner: str) -> str | list[str]:
        match = _PARAMETER.match(inner)
        self._depth += 1
        if match is None or self._depth > _DEPTH_MAX:
            return unknown(f"${{{inner}}}")
        found = self._of_parameter(match)
        self._depth -= 1
        return found

    def _of_parameter(self, match: re.Match[str]) -> str | list[str]:
        name, index, mark = match["name"], match["index"], match["mark"]
        is_all = index in ("@", "*") or name in ("@", "*")
        if mark == "!" and is_all:
            return [str(number) for number in range(len(self._variables.items(name)))]
        if mark == "!":
            name = self._variables.text(name) or ""
        if mark == "#":
            counted: str | list[str] = self._variables.items(name) if is_all else self._variables.text(name) or ""
            return str(len(counted))
        value: str | list[str] | None = self._variables.items(name) if is_all else self._item(name, index)
        if is_all and not value and match["operation"]:
            value = None
        found = self._operated(name, value, match["operation"] or "", match["rest"])
        is_one_word = "*" in (name, index)
        return " ".join(found) if is_one_word and isinstance(found, list) else found

    def _item(self, name: str, index: str | None) -> str | None:
        if index is None:
            return self._variables.text(name)
        try:
            return self._variables.items(name)[self.number(index)]
        except (Unknown, IndexError):
            return None

    def _operated(self, name: str, value: str | list[str] | None, operation: str, rest: str) -> str | list[str]:
        is_missing = value is None or (operation.startswith(":") and not value)
        if operation in ("-", ":-", "=", ":="):
            found = self.text(rest) if value is None or is_missing else value
            if "=" in operation and is_missing and isinstance(found, str):
                self._variables.values[name] = found
            return found
        if operation in ("+", ":+"):
            return "" if is_missing else self.text(rest)
        if operation in ("?", ":?") and is_missing:
            return unknown(f"${name}, which has to be given")
        if value is None:
            return ""
        if operation == ":":
            whole = [self._variables.script, *value] if isinstance(value, list) and name in ("@", "*") else value
            return self._part_of(whole, rest)
        if isinstance(value, list):
            return [self._changed(item, operation, rest) for item in value]
        return self._changed(value, operation, rest)

    def _part_of(self, whole: str | list[str], rest: str) -> str | list[str]:
        """The part `:start` or `:start:length`, in characters or items."""
        try:
            start, *length = [self.number(part) for part in rest.split(":")]
        except Unknown:
            return unknown(f"${{…:{rest}}}")
        return whole[start : start + length[0]] if length else whole[start:]

    def _changed(self, value: str, operation: str, rest: str) -> str:
        if operation in ("", "?", ":?"):
            return value
        if operation in (",", ",,", "^", "^^"):
            return value.lower() if operation.startswith(",") else value.upper()
        if operation in ("#", "##", "%", "%%"):
            return _without(value, operation, self.text(rest))
        if operation in ("/", "//"):
            old, _, new = rest.partition("/")
            return value.replace(self.text(old), self.text(new), -1 if operation == "//" else 1)
        return unknown(f"${{…{operation}{rest}}}")


def braces(written: str) -> list[str]:
    """Expand `{0..3}` and `{a,b}` in a word without other expansions inside them."""
    if "'" in written or '"' in written:
        return [written]
    if match := _RANGE.match(written):
        first, last = int(match[2]), int(match[3])
        numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
        return [f"{match[1]}{number}{match[4]}" for number in numbers[:_RANGE_MAX]]
    if match := _CHOICES.match(written):
        return [f"{match[1]}{choice}{rest}" for choice in match[2].split(",") for rest in braces(match[3])]
    return [written]


def array_items(written: str) -> str:
    """The text between the brackets of `NAME=(…)`."""
    start = written.index("(") + 1
    return written[start : closing(written, start, "(", ")")]


def _without(value: str, operation: str, pattern: str) -> str:
    """The value without the beginning (`#`) or the end (`%`) that matches a pattern; doubled, the longest match."""
    cuts = range(len(value) + 1)
    if operation.startswith("#"):
        fits = [at for at in cuts if fnmatchcase(value[:at], pattern)]
        return value if not fits else value[(max(fits) if operation == "##" else min(fits)) :]
    fits = [at for at in cuts if fnmatchcase(value[at:], pattern)]
    return value if not fits else value[: (min(fits) if operation == "%%" else max(fits))]
