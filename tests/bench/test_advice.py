"""Which sizes are computed and how the rates are worded; and LMCache's own simulator on a small trace."""

from __future__ import annotations

import sys
from math import inf

import pytest

from dynkv.bench.advice import GIB, Own, Size, advice, capacity_bytes, chunk_sizes, sizes
from dynkv.bench.simulator import hit_rates
from dynkv.bench.trace import Request, Trace
from dynkv.errors import PreflightRefused, TraceError

OWN = Own(l1_gib=4.0, l2_gib=None, chunk_tokens=256, block_tokens=16)


def trace(block_tokens: int = 64, prompts: int = 4, blocks: int = 8) -> Trace:
    """Two prompts in turn."""
    each = [tuple(range(100 * (n % 2), 100 * (n % 2) + blocks)) for n in range(prompts)]
    return Trace(tuple(Request(n, blocks * block_tokens, 1, ids) for n, ids in enumerate(each)), block_tokens)


def test_chunks_are_of_whole_blocks_of_the_trace_and_of_the_workers() -> None:
    assert chunk_sizes(trace(), OWN) == (64, 128, 256, 512, 1024)
    assert chunk_sizes(trace(512), OWN) == (512, 1024)
    assert chunk_sizes(trace(), Own(4, None, 96, 96)) == (192, 384)
    with pytest.raises(TraceError, match="no prompt is as long"):
        chunk_sizes(trace(blocks=1), Own(4, None, 4096, 4096))


def test_sizes_are_around_the_profiles_own_with_its_l2_and_without_a_limit() -> None:
    assert [size.gib for size in sizes(OWN)] == [0.5, 1, 2, 4, 8, 16, 32, None]
    assert [size.gib for size in sizes(OWN) if size.is_own] == [4]
    assert sizes(Own(4, 100, 256, 16))[-2:] == (Size("L1 and L2", 100, is_own=True), Size("no limit", None))
    assert sizes(Own(4, inf, 256, 16))[-1] == Size("L1 and L2", None, is_own=True)


def said(*rates: float, own: Own = OWN, chunk: int = 256) -> str:
    return advice(trace(), own, 1024, {chunk: rates}, "it").sentence


def test_the_sentence_says_from_where_on_more_gains_little() -> None:
    text = said(0.1, 0.2, 0.395, 0.4, 0.4, 0.4, 0.4, 0.4)
    assert text == "From 2 GiB of L1 on (40% of all tokens) more gains less than 1 %; the profile's 4 GiB find 40%."
    assert said(*[0.1] * 7, 0.5).startswith("More L1 finds more up to 32 GiB (10%) and beyond; without a limit")
    assert said(*[0.0] * 8).startswith("Nearly nothing repeats")
    assert "Chunks of 96 tokens do not consist" in said(*[0.4] * 8, own=Own(4, None, 96, 96), chunk=192)


def test_lmcaches_simulator_finds_what_fits() -> None:
    pytest.importorskip("lmcache")
    each = 64  # bytes per token: a prompt of 512 tokens takes 32 KiB
    found = hit_rates([sys.executable, "-P"], trace(), each, {64: [32 * 1024, 64 * 1024], 512: [64 * 1024]})
    assert found == {64: [0.0, 0.5], 512: [0.5]}
    assert capacity_bytes(Size("no limit", None), trace(), each) > 64 * 1024
    assert capacity_bytes(Size("L1", 0.5), trace(), each) == GIB // 2


def test_an_interpreter_without_a_simulator_is_refused() -> None:
    with pytest.raises(PreflightRefused, match="has no cache simulator"):
        hit_rates([sys.executable, "-S", "-P"], trace(), 64, {64: [1]})
