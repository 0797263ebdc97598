"""JSON of whatever the host has: paths and variables are bytes there, and need be no text in UTF-8.

Python holds such a byte as a surrogate (PEP 383), which no JSON can. In a document it is `\\udcXX`, as Python's
backslashreplace writes it, and what reads the document with `decoded` gets it back; a text that holds these six letters
themselves has its backslash written as the byte that it is.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

_ENCODER, _IN_ORDER = msgspec.json.Encoder(enc_hook=str), msgspec.json.Encoder(enc_hook=str, order="deterministic")
"""What is no JSON is told in words."""
_TRACE = rb"\\udc"
"""By which a document is known that holds such bytes, or letters that look like them."""
_BACKSLASH = "\\udc5c"
_LOOKS_LIKE_BYTE = re.compile(r"\\(?=udc(?:5c|[89a-f][0-9a-f]))")
_BYTE = re.compile(r"\\udc(5c|[89a-f][0-9a-f])")
T = TypeVar("T")


def is_text(text: str) -> bool:
    """Whether it has a form in UTF-8, and holds no byte that is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encoded(content: object, *, is_sorted: bool = False) -> bytes:
    """JSON; with its members in order if it `is_sorted`."""
    encode = (_IN_ORDER if is_sorted else _ENCODER).encode
    try:
        document = encode(content)
    except UnicodeEncodeError:
        document = None
    if document is None or _TRACE in document:
        return encode(_each_text(_plain(content), _written))
    return document


def decoded(document: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Raises msgspec.MsgspecError, ValueError or RecursionError for what is none of that kind."""
    raw = document.encode() if isinstance(document, str) else bytes(document)
    if _TRACE not in raw:
        return msgspec.json.decode(raw, type=kind)
    return msgspec.convert(_each_text(msgspec.json.decode(raw), _as_given), kind)


def _plain(content: object) -> object:
    """Of dictionaries, lists and texts alone; documents in it stay as they are."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    return content if isinstance(content, msgspec.Raw) else msgspec.to_builtins(content, enc_hook=str)


def _each_text(content: Any, change: Any) -> Any:
    if isinstance(content, str):
        return change(content)
    if isinstance(content, dict):
        return {_each_text(name, change): _each_text(value, change) for name, value in content.items()}
    return [_each_text(value, change) for value in content] if isinstance(content, list | tuple) else content


def _written(text: str) -> str:
    return _LOOKS_LIKE_BYTE.sub(lambda _: _BACKSLASH, text).encode("utf-8", "backslashreplace").decode()


def _as_given(text: str) -> str:
    return _BYTE.sub(lambda found: "\\" if found[1] == "5c" else chr(0xDC00 + int(found[1], 16)), text)
