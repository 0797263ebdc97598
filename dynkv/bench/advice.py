"""The hit rates that other sizes of L1 and L2, and other chunk sizes, would have: what to compute, and the result.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm

from msgspec import Struct

from dynkv.bench.trace import Trace
from dynkv.errors import TraceError

GIB = 1024**3
_FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_LITTLE = 0.01
"""Share of all tokens below which a difference is no gain."""


class Own(Struct, frozen=True):
    """The profile's own sizes."""

    l1_gib: float
    l2_gib: float | None
    """None without L2; infinite if nothing limits it."""
    chunk_tokens: int
    block_tokens: int
    """Block size of the workers: chunks consist of whole blocks."""


class Size(Struct, frozen=True):
    label: str
    gib: float | None
    """None without a limit."""
    is_own: bool = False


class Row(Struct, frozen=True):
    size: Size
    hit_rates: tuple[float, ...]
    """For each chunk size, the share of all prompt tokens."""


class Advice(Struct, frozen=True):
    by: str
    """The program that computed it."""
    requests: int
    bytes_per_token: int
    chunk_tokens: tuple[int, ...]
    own_chunk_tokens: int
    rows: tuple[Row, ...]
    sentence: str
    is_measured: bool = False


def chunk_sizes(trace: Trace, own: Own) -> tuple[int, ...]:
    """Chunk sizes around the profile's own, if they consist of whole blocks of the trace and of the workers.

    Raises TraceError if none does.
    """
    step = lcm(trace.block_tokens, own.block_tokens)
    around = {own.chunk_tokens * 2**power // 4 for power in range(5)} | {step}
    found = tuple(sorted(size for size in around if size and size % step == 0))
    if min(found) > max(request.input_tokens for request in trace.requests):
        raise TraceError(f"no prompt is as long as a chunk of {min(found)} tokens, so nothing could be found")
    return found


def sizes(own: Own) -> tuple[Size, ...]:
    """The sizes in order. A hit in L2 is one in L1 or L2, since LMCache fills both."""
    rows = [Size("L1", own.l1_gib * factor, factor == 1.0) for factor in _FACTORS]
    if own.l2_gib is not None:
        bounded = own.l2_gib != float("inf")
        rows.append(Size("L1 and L2", max(own.l1_gib, own.l2_gib) if bounded else None, is_own=True))
    if rows[-1].gib is not None:
        rows.append(Size("no limit", None))
    return tuple(rows)


def capacity_bytes(size: Size, trace: Trace, bytes_per_token: int) -> int:
    """The capacity; without a limit, the size of all blocks."""
    if size.gib is not None:
        return int(size.gib * GIB)
    return sum(len(it.blocks) for it in trace.requests) * trace.block_tokens * bytes_per_token + GIB


def advice(trace: Trace, own: Own, bytes_per_token: int, rates: Mapping[int, Sequence[float]], by: str) -> Advice:
    """The advice, from the hit rates `rates` by chunk size, for each of `sizes(own)`."""
    chunks = tuple(rates)
    rows = tuple(Row(size, tuple(rates[chunk][number] for chunk in chunks)) for number, size in enumerate(sizes(own)))
    at = min(range(len(chunks)), key=lambda number: abs(chunks[number] - own.chunk_tokens))
    sentence = _sentence(rows, at)
    if own.chunk_tokens not in chunks:
        sentence += (
            f" Chunks of {own.chunk_tokens} tokens do not consist of the trace's blocks of {trace.block_tokens}."
        )
    return Advice(by, len(trace.requests), bytes_per_token, chunks, own.chunk_tokens, rows, sentence)


def _sentence(rows: Sequence[Row], at: int) -> str:
    most, levels = rows[-1].hit_rates[at], [row for row in rows if row.size.label == "L1"]
    enough = next((row for row in levels if row.hit_rates[at] >= most - _LITTLE), None)
    if most < _LITTLE:
        return "Nearly nothing repeats: no cache would find much of this traffic."
    if enough is None:
        largest = levels[-1]
        return (
            f"More L1 finds more up to {largest.size.gib:g} GiB ({largest.hit_rates[at]:.0%}) and beyond; without a "
            f"limit it would be {most:.0%}."
        )
    found = enough.hit_rates[at]
    own = next(row for row in levels if row.size.is_own)
    has = f"the profile's {own.size.gib:g} GiB find {own.hit_rates[at]:.0%}"
    return f"From {enough.size.gib:g} GiB of L1 on ({found:.0%} of all tokens) more gains less than 1 %; {has}."
