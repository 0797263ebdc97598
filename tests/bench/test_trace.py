"""A trace as a file: what is read, what is refused and how, and its sums."""

from __future__ import annotations

import json

import pytest

from dynkv.bench.trace import BLOCK_TOKENS, Request, Trace, read
from dynkv.errors import TraceError

HEADER = '{"dynkv_trace": 1, "block_size": 16}'


def line(at: object = 0, tokens: object = 32, blocks: object = (1, 2), output: object = 4) -> str:
    return json.dumps({"timestamp": at, "input_length": tokens, "output_length": output, "hash_ids": blocks})


def test_mooncakes_own_has_blocks_of_512_tokens_and_the_last_may_be_part_of_one() -> None:
    trace = read([line(tokens=513, blocks=[0, 1])])
    assert trace.block_tokens == BLOCK_TOKENS == 512
    assert trace.requests == (Request(0, 513, 4, (0, 1)),)


def test_what_is_written_is_read_again() -> None:
    trace = Trace((Request(0, 32, 4, (2**64 - 1, 2)), Request(1.5, 40, 1, (3, 4))), block_tokens=16)
    assert read(trace.lines()) == trace


def test_times_begin_at_zero_and_requests_stand_in_their_order() -> None:
    trace = read([HEADER, line(at=500), line(at=200), ""])
    assert [request.at_ms for request in trace.requests] == [0, 300]


def test_only_what_a_prompt_begins_with_repeats() -> None:
    requests = [line(blocks=[1, 2]), line(blocks=[1, 3]), line(at=2000, blocks=[4, 2])]
    figures = read([HEADER, *requests]).figures()
    assert (figures.requests, figures.seconds, figures.input_tokens, figures.output_tokens) == (3, 2, 96, 12)
    assert figures.repeated == pytest.approx(16 / 96)


def test_of_no_token_nothing_can_repeat() -> None:
    assert read([line(tokens=0, blocks=[])]).figures().repeated is None


@pytest.mark.parametrize(
    ("lines", "number", "what"),
    [
        ([HEADER, line(), "{"], 3, "not JSON"),
        (["[" * 100_000], 1, "not JSON"),
        ([b"\xff\xfe"], 1, "not JSON"),
        (["[]"], 1, "object"),
        ([HEADER, line(), HEADER], 3, "first line"),
        (['{"dynkv_trace": 2}'], 1, "version 2"),
        (['{"dynkv_trace": 1}'], 1, "block_size is None"),
        (['{"timestamp": 1, "hash_ids": []}'], 1, "no input_length, output_length"),
        ([line(at="now")], 1, "timestamp"),
        ([line(at=float("nan"))], 1, "timestamp"),
        ([line(tokens=True)], 1, "input_length"),
        ([HEADER, line(output=-1)], 2, "output_length"),
        ([line(blocks=[1.5])], 1, "hash_ids"),
        ([HEADER, line(tokens=16, blocks=[1, 2])], 2, "2 blocks of 16 tokens, but a prompt of 16"),
        ([], None, "no request"),
    ],
)
def test_a_mistake_is_told_with_its_line(lines: list[str], number: int | None, what: str) -> None:
    with pytest.raises(TraceError, match=what) as raised:
        read(lines)
    assert raised.value.line == number
    assert raised.value.where == (f"line {number}" if number else "")
