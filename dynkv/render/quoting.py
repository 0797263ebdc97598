"""Text quoted for bash, in one line of ASCII: the script is the same in every locale, and survives copying."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
_RESERVED = frozenset("case coproc do done elif else esac fi for function if in select then time until while".split())
_ESCAPED = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\t": r"\t", "\r": r"\r"}


def quoted(text: str) -> str:
    """One word; bytes that are not UTF-8 are given as surrogates, as in Python."""
    if _PLAIN.fullmatch(text) and text not in _RESERVED:
        return text
    if text.isascii() and text.isprintable() and not set(text) & set("'$`\\"):
        return f"'{text}'"
    return f"$'{''.join(map(_escaped, text))}'"


def comment(text: str) -> str:
    """Text that is safe after a `#`."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text)


def _escaped(char: str) -> str:
    if (char.isascii() and char.isprintable()) or char in _ESCAPED:
        return _ESCAPED.get(char, char)
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
