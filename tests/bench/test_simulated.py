"""The input of LMCache's simulator."""

from __future__ import annotations

import json

import pytest

from dynkv.bench.simulated import lookups
from dynkv.bench.trace import Request, Trace
from dynkv.errors import TraceError

TRACE = Trace((Request(0, 70, 4, (1, 2, 3, 4, 5)), Request(1500, 15, 4, (6,))), block_tokens=16)


def chunks(chunk_tokens: int) -> list[list[str]]:
    return [json.loads(line)["chunk_hashes"] for line in lookups(TRACE, chunk_tokens)]


def test_a_chunk_is_its_last_block_and_a_part_of_one_is_none() -> None:
    assert chunks(16) == [["1", "2", "3", "4"], []]
    assert chunks(32) == [["2", "4"], []]
    assert chunks(128) == [[], []]


def test_lengths_are_whole_prompts_and_times_seconds() -> None:
    found = [json.loads(line) for line in lookups(TRACE, 32)]
    assert [(it["timestamp"], it["seq_len"], it["chunk_size"]) for it in found] == [(0, 70, 32), (1.5, 15, 32)]


def test_chunks_that_do_not_consist_of_blocks_cannot_be_looked_up() -> None:
    with pytest.raises(TraceError, match="chunks of 24 tokens"):
        list(lookups(TRACE, 24))
