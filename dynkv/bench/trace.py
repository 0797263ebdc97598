"""A trace: when requests came, how long they were, and which blocks of their prompts were the same. Contains no text.
Pure.

JSON lines in the format of Mooncake's traces, one request per line; one recorded by dynkv begins with another line,
which has the number of tokens in a block. Without it, the number is Mooncake's 512.
Source: github.com/kvcache-ai/Mooncake, FAST25-release/traces (`timestamp` in ms, `input_length`, `output_length`,
`hash_ids` of the prompt's consecutive blocks, the last of which may be part of one).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from dynkv.errors import TraceError

VERSION = 1
BLOCK_TOKENS = 512
"""The block size of a trace that does not give one."""
REQUESTS_MAX, BLOCKS_MAX = 1_000_000, 20_000_000
"""Limits of one trace, so that a wrong file does not fill the memory."""
TOKENS_MAX = 16 * 1024 * 1024
"""Limit of one prompt or answer."""
_LARGEST = 2**63
_LEAST_PARTS = ("timestamp", "input_length", "output_length", "hash_ids")


class Request(Struct, frozen=True):
    at_ms: float
    """Time since the first request."""
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...]
    """Ids of the prompt's consecutive blocks. The same id is the same block with the same blocks before it."""


class Figures(Struct, frozen=True):
    requests: int
    seconds: float
    """From the first to the last request."""
    input_tokens: int
    output_tokens: int
    repeated: float | None
    """Share of the prompts' tokens that an unlimited cache would have had; None without tokens."""


class Trace(Struct, frozen=True):
    requests: tuple[Request, ...]
    block_tokens: int = BLOCK_TOKENS

    def figures(self) -> Figures:
        total = sum(request.input_tokens for request in self.requests)
        times = [request.at_ms for request in self.requests]
        return Figures(
            requests=len(self.requests),
            seconds=(max(times) - min(times)) / 1000 if times else 0.0,
            input_tokens=total,
            output_tokens=sum(request.output_tokens for request in self.requests),
            repeated=self._repeated_tokens() / total if total else None,
        )

    def _repeated_tokens(self) -> int:
        """Only the beginning of a prompt can come from a cache: nothing after the first new block can."""
        seen: set[int] = set()
        tokens = 0
        for request in self.requests:
            known = next((at for at, block in enumerate(request.blocks) if block not in seen), len(request.blocks))
            tokens += min(known * self.block_tokens, request.input_tokens)
            seen.update(request.blocks)
        return tokens

    def lines(self) -> Iterator[str]:
        """The lines of the file, with line ends."""
        yield head_of(self.block_tokens)
        for request in self.requests:
            yield line_of(request)


def head_of(block_tokens: int) -> str:
    return json.dumps({"dynkv_trace": VERSION, "block_size": block_tokens}) + "\n"


def line_of(request: Request) -> str:
    values = (request.at_ms, request.input_tokens, request.output_tokens, list(request.blocks))
    return json.dumps(dict(zip(_LEAST_PARTS, values, strict=True))) + "\n"


def read(lines: Iterable[str | bytes]) -> Trace:
    """Read a trace, with times from 0 on. Raises TraceError, which names the line."""
    block_tokens, requests, blocks = BLOCK_TOKENS, list[Request](), 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        document = _document(line, number)
        if "dynkv_trace" in document:
            if requests or number > 1:
                raise TraceError("only its first line can say how many tokens a block has", number)
            block_tokens = _block_tokens(document, number)
            continue
        requests.append(_request(document, block_tokens, number))
        blocks += len(requests[-1].blocks)
        if len(requests) > REQUESTS_MAX or blocks > BLOCKS_MAX:
            raise TraceError(f"more than {REQUESTS_MAX:,} requests, or than {BLOCKS_MAX:,} blocks", number)
    if not requests:
        raise TraceError("no request is in it")
    return Trace(tuple(_from_zero(requests)), block_tokens)


def _from_zero(requests: list[Request]) -> Iterator[Request]:
    """Requests in order of their times: a recorder writes a request when it has ended."""
    first = min(request.at_ms for request in requests)
    for it in sorted(requests, key=lambda request: request.at_ms):
        yield Request(it.at_ms - first, it.input_tokens, it.output_tokens, it.blocks)


def _document(line: str | bytes, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"not JSON: {error}", number) from None
    if not isinstance(document, dict):
        raise TraceError("not a JSON object", number)
    return document


def _block_tokens(document: dict[str, Any], number: int) -> int:
    if document["dynkv_trace"] != VERSION:
        raise TraceError(f"version {document['dynkv_trace']!r} of a trace; this dynkv reads {VERSION}", number)
    return _whole(document, "block_size", number, least=1, most=TOKENS_MAX)


def _request(document: dict[str, Any], block_tokens: int, number: int) -> Request:
    missing = [name for name in _LEAST_PARTS if name not in document]
    if missing:
        raise TraceError(f"no {', '.join(missing)}", number)
    at_ms, blocks = document["timestamp"], document["hash_ids"]
    if isinstance(at_ms, bool) or not isinstance(at_ms, int | float) or not 0 <= at_ms < _LARGEST:
        raise TraceError(f"timestamp is {at_ms!r}, not a number of milliseconds", number)
    if not isinstance(blocks, list) or any(type(it) is not int or not 0 <= it < 2 * _LARGEST for it in blocks):
        raise TraceError("hash_ids is not a list of 64-bit integers", number)
    tokens = _whole(document, "input_length", number, least=0, most=TOKENS_MAX)
    if len(blocks) * block_tokens >= tokens + block_tokens:
        raise TraceError(f"{len(blocks)} blocks of {block_tokens} tokens, but a prompt of {tokens}", number)
    return Request(at_ms, tokens, _whole(document, "output_length", number, least=0, most=TOKENS_MAX), tuple(blocks))


def _whole(document: dict[str, Any], name: str, number: int, *, least: int, most: int) -> int:
    value = document.get(name)
    if type(value) is not int or not least <= value <= most:
        raise TraceError(f"{name} is {value!r}, not a whole number from {least} to {most}", number)
    return value
