"""The frontend's record of a finished request as a line of a trace: its blocks hashed again, with a salt. Pure.

Dynamo's own hashes have no salt, so anyone with a text could find out whether it was requested. With a key that is
forgotten when the recording ends, they only show which blocks within this recording are the same.
Source: ai-dynamo 1.6.1, seen of its frontend with DYN_REQUEST_TRACE=1 and DYN_REQUEST_TRACE_RECORDS=request_end: one
JSON object per line with `event` of schema `dynamo.request.trace.v1`, whose `request.replay` has `trace_block_size`,
`input_length` and `input_sequence_hashes`; each of these covers its block and all before it. It contains no text.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from msgspec import Struct

from dynkv.bench.trace import Request

SCHEMA = "dynamo.request.trace.v1"
_ID_BYTES = 8
_KEY_BYTES_MAX = hashlib.blake2b.MAX_KEY_SIZE


class Recorded(Struct, frozen=True):
    request: Request
    """The request, with its time in ms by the wall clock."""
    block_tokens: int
    ended_at_ms: float
    """End of the request in ms, by the wall clock."""


def recorded(line: str | bytes, salt: bytes) -> Recorded | None:
    """The record; None if the line is not a finished request with its blocks, such as a tool's event or one without
    tokens."""
    if not 16 <= len(salt) <= _KEY_BYTES_MAX:
        raise ValueError(f"a salt has 16 to {_KEY_BYTES_MAX} bytes")
    try:
        event = json.loads(line)["event"]
        if event["schema"] != SCHEMA or event["event_type"] != "request_end":
            return None
        return _recorded(event["request"], float(event["event_time_unix_ms"]), salt)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _recorded(request: dict[str, Any], ended_at_ms: float, salt: bytes) -> Recorded:
    replay = request["replay"]
    asked = Request(
        at_ms=float(request["request_received_ms"]),
        input_tokens=int(replay["input_length"]),
        output_tokens=int(request.get("output_tokens") or 0),
        blocks=tuple(salted(block, salt) for block in replay["input_sequence_hashes"]),
    )
    return Recorded(asked, int(replay["trace_block_size"]), ended_at_ms)


def salted(block: int, salt: bytes) -> int:
    """Another id of 63 bits, the same for the same block and salt."""
    digest = hashlib.blake2b(str(int(block)).encode(), key=salt, digest_size=_ID_BYTES).digest()
    return int.from_bytes(digest, "big") >> 1
