"""JSON for anything that a host may hold: its paths and variables are bytes, which need not be UTF-8.

Python represents such a byte as a surrogate (PEP 383), which JSON cannot hold. In a document it is `\\udcXX`, as
Python's backslashreplace writes it, and `decoded` restores it. In a text that contains these six characters literally,
the backslash is written in the same way.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

_ENCODER, _IN_ORDER = msgspec.json.Encoder(enc_hook=str), msgspec.json.Encoder(enc_hook=str, order="deterministic")
"""Encoders that write values without a JSON form as their `str`."""
_TRACE = rb"\\udc"
"""The mark of a document that contains such bytes, or characters that look like them."""
_BACKSLASH = "\\udc5c"
_LOOKS_LIKE_BYTE = re.compile(r"\\(?=udc(?:5c|[89a-f][0-9a-f]))")
_BYTE = re.compile(r"\\udc(5c|[89a-f][0-9a-f])")
T = TypeVar("T")


def is_text(text: str) -> bool:
    """Whether the text can be encoded as UTF-8, that is, contains no undecodable byte."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encoded(content: object, *, is_sorted: bool = False) -> bytes:
    """Encode as JSON; with sorted members if `is_sorted`."""
    encode = (_IN_ORDER if is_sorted else _ENCODER).encode
    try:
        document = encode(content)
    except UnicodeEncodeError:
        document = None
    if document is None or _TRACE in document:
        return encode(_each_text(_plain(content), _written))
    return document


def decoded(document: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Decode a document. Raises msgspec.MsgspecError, ValueError or RecursionError if it is not of that kind."""
    raw = document.encode() if isinstance(document, str) else bytes(document)
    if _TRACE not in raw:
        return msgspec.json.decode(raw, type=kind)
    return msgspec.convert(_each_text(msgspec.json.decode(raw), _as_given), kind)


def _plain(content: object) -> object:
    """Reduce to dictionaries, lists and strings; nested documents (msgspec.Raw) stay as they are."""
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
