"""Recorded traffic: what is a trace, and how it is played again."""

from __future__ import annotations

import json

import pytest

from dynkv.bench.trace import Trace, read_trace
from dynkv.bench.workloads import WARM_UP, Workload
from dynkv.errors import UsageError


def line(at_ms: float, tokens: int, blocks: list[int], output: int = 10) -> str:
    return json.dumps({"timestamp": at_ms, "input_length": tokens, "output_length": output, "hash_ids": blocks}) + "\n"


TEXT = line(0, 1000, [7, 8]) + line(2000, 600, [7, 9]) + line(1000, 512, [10])


def test_requests_come_in_the_order_of_their_times() -> None:
    trace = read_trace(TEXT, "t")
    assert [(it.timestamp, it.input_length) for it in trace.requests] == [(0, 1000), (1000, 512), (2000, 600)]
    assert trace.block_size == 512


def test_a_first_line_may_say_the_size_of_blocks() -> None:
    assert read_trace('{"block_size": 16}\n' + line(0, 20, [1, 2]), "t") == Trace(
        read_trace('{"block_size": 16}\n' + line(0, 20, [1, 2]), "t").requests, 16
    )


def test_what_repeats_is_what_an_earlier_prompt_began_with() -> None:
    assert read_trace(TEXT, "t").repeated == pytest.approx(512 / 2112)
    assert read_trace(line(0, 512, [1]), "t").repeated == 0
    assert read_trace(line(0, 512, [1]) * 2, "t").repeated == 0.5


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "t"),
        ("no JSON\n", "t:1"),
        (line(0, 512, [1]) + '{"timestamp": 0}\n', "t:2"),
        (line(0, 512, [1, 2]), "t:1"),
        (line(-1, 512, [1]), "t:1"),
        (line(0, 0, []), "t:1"),
        ("[" * 100_000, "t:1"),
        ('{"block_size": 0}\n' + line(0, 512, [1]), "t:1"),
    ],
)
def test_what_is_no_trace_is_told_with_its_line(text: str, where: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_trace(text, "t")
    assert refused.value.where == where


def test_played_again_prompts_share_what_they_shared_and_nothing_with_another_round() -> None:
    workload = Workload.of_trace(read_trace(TEXT, "t"), concurrency=4, is_timed=True)
    one, two = ([it for it in workload.requests(n) if it.label != WARM_UP] for n in (1, 2))
    assert [it.at_ms for it in one] == [0, 1000, 2000]
    assert [it.input_tokens for it in one] == [1000, 512, 600]
    assert one[0].blocks[0] == one[2].blocks[0]
    assert len({block for it in one for block in it.blocks}) == 4
    assert not {block for it in one for block in it.blocks} & {block for it in two for block in it.blocks}


def test_what_warms_up_shares_nothing_with_a_trace() -> None:
    requests = Workload.of_trace(read_trace(TEXT, "t"), concurrency=4, is_timed=False).requests(3)
    warm = {block for it in requests if it.label == WARM_UP for block in it.blocks}
    assert warm
    assert not warm & {block for it in requests if it.label != WARM_UP for block in it.blocks}
