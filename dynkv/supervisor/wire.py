"""Snapshots and events as JSON, whatever is in them."""

from __future__ import annotations

from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(enc_hook=str)
"""What is no JSON is told in words."""


def encoded(content: object) -> bytes:
    """JSON. Names from the host may be no text: their bytes are shown as Python's backslashreplace does."""
    try:
        return _ENCODER.encode(content)
    except UnicodeEncodeError:
        return _ENCODER.encode(_as_text(msgspec.to_builtins(content, enc_hook=str)))


def _as_text(content: Any) -> Any:
    if isinstance(content, str):
        return content.encode("utf-8", "backslashreplace").decode()
    if isinstance(content, dict):
        return {_as_text(name): _as_text(value) for name, value in content.items()}
    return [_as_text(value) for value in content] if isinstance(content, list | tuple) else content
