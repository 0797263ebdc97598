"""Recorded traffic: when requests came, how long they were, which blocks their prompts share; never their text. Pure.

Source: the traces of Mooncake (FAST '25), one JSON object a line; blocks are of 512 tokens there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import msgspec

from dynkv.errors import UsageError

MOONCAKE_BLOCK_TOKENS = 512
_SHOWN = 60

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=10**8)]


class Asked(msgspec.Struct, frozen=True):
    """One request, as a line has it."""

    timestamp: Annotated[float, msgspec.Meta(ge=0)]
    """Milliseconds since the first."""
    input_length: _Tokens
    output_length: _Tokens
    hash_ids: tuple[int, ...]
    """Of the blocks of its prompt, the last of which may be a part of one."""


class _Head(msgspec.Struct, frozen=True):
    """The first line of a trace whose blocks are of another size."""

    block_size: _Tokens


@dataclass(frozen=True, slots=True)
class Trace:
    requests: tuple[Asked, ...]
    block_size: int = MOONCAKE_BLOCK_TOKENS
    """In tokens."""

    @property
    def repeated(self) -> float:
        """The share of prompt tokens in blocks that an earlier prompt began with, too: what a cache could serve."""
        seen: set[int] = set()
        hits = whole = 0
        for it in self.requests:
            known = next((n for n, block in enumerate(it.hash_ids) if block not in seen), len(it.hash_ids))
            hits += min(known * self.block_size, it.input_length)
            whole += it.input_length
            seen |= {*it.hash_ids}
        return hits / whole if whole else 0.0


def read_trace(text: str, name: str) -> Trace:
    """Raises UsageError, which names the line, for what is no trace; requests come in the order of their times."""
    block_size, requests = MOONCAKE_BLOCK_TOKENS, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            if number == 1 and (head := _head(line)) is not None:
                block_size = head.block_size
                continue
            asked = msgspec.json.decode(line, type=Asked)
        except (msgspec.DecodeError, RecursionError) as error:
            where = f"{name}:{number}"
            raise UsageError(f"{line[:_SHOWN]!r} is no request: {error}", where=where, hint=_FORM) from None
        if len(asked.hash_ids) != -(-asked.input_length // block_size):
            what = f"{asked.input_length} tokens are not {len(asked.hash_ids)} blocks of {block_size}"
            raise UsageError(what, where=f"{name}:{number}", hint='a first line {"block_size": N} says another size')
        requests.append(asked)
    if not requests:
        raise UsageError("there is no request in it", where=name, hint=_FORM)
    return Trace(tuple(sorted(requests, key=lambda it: it.timestamp)), block_size)


_FORM = 'one JSON object a line: {"timestamp": MS, "input_length": N, "output_length": N, "hash_ids": [N, ...]}'


def _head(line: str) -> _Head | None:
    try:
        return msgspec.convert(json.loads(line), _Head)
    except (ValueError, msgspec.ValidationError, RecursionError):
        return None
