"""The requests of each workload: which prompts share blocks, and how many."""

from __future__ import annotations

from itertools import combinations

import pytest

from dynkv.bench.trace import Request, Trace
from dynkv.bench.workloads import WARM_UP, Asked, Kind, Workload
from dynkv.errors import UsageError


def asked(workload: Workload, round: int = 1) -> list[Asked]:
    return [it for it in workload.requests(round) if it.label != WARM_UP]


def shared(one: Asked, other: Asked) -> int:
    """Tokens of the prefix that both prompts share."""
    pairs = zip(one.blocks, other.blocks, strict=False)
    return 16 * next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one.blocks), len(other.blocks)))


def test_a_turn_of_a_chat_begins_with_the_one_before_and_its_answer() -> None:
    chat = Workload("chat", users=2, turns=3, shared_tokens=32, context_tokens=64, question_tokens=16, output_tokens=48)
    first, other, second, _, third, _ = asked(chat)
    assert [it.label for it in asked(chat)] == ["turn 1", "turn 1", "turn 2", "turn 2", "turn 3", "turn 3"]
    assert (first.input_tokens, second.input_tokens, third.input_tokens) == (112, 176, 240)
    assert shared(first, second) == 112
    assert shared(second, third) == 176
    assert shared(first, other) == 32
    assert {it.output_tokens for it in asked(chat)} == {48}


def test_documents_are_asked_about_in_any_order_and_the_first_time_is_told() -> None:
    rag = Workload("rag", users=3, turns=2, shared_tokens=16, context_tokens=160, question_tokens=16)
    requests = asked(rag)
    assert sorted(it.label for it in requests) == ["new document"] * 3 + ["seen before"] * 3
    for number, it in enumerate(requests):
        seen = any(shared(before, it) == 176 for before in requests[:number])
        assert seen == (it.label == "seen before")


def test_of_one_prompt_only_the_end_is_new_and_of_random_ones_all() -> None:
    prefix = asked(Workload("prefix", users=4, context_tokens=320, question_tokens=32))
    assert all(shared(one, other) == 320 for one, other in combinations(prefix, 2))
    random = asked(Workload("random", users=4, context_tokens=320))
    assert all(shared(one, other) == 0 for one, other in combinations(random, 2))


KINDS: list[Kind] = ["chat", "rag", "prefix", "random"]


@pytest.mark.parametrize("kind", KINDS)
def test_rounds_are_alike_and_share_nothing(kind: Kind) -> None:
    workload = Workload(kind, users=3, turns=2)
    one, two = workload.requests(1), workload.requests(2)
    assert one == workload.requests(1)
    assert sorted(it.input_tokens for it in one) == sorted(it.input_tokens for it in two)
    assert not {block for it in one for block in it.blocks} & {block for it in two for block in it.blocks}


@pytest.mark.parametrize("kind", KINDS)
def test_what_warms_up_comes_first_and_shares_nothing(kind: Kind) -> None:
    requests = Workload(kind, users=3).requests(1)
    warm = [it for it in requests if it.label == WARM_UP]
    assert requests[: len(warm)] == warm != []
    assert not {block for it in warm for block in it.blocks} & {b for it in requests[len(warm) :] for b in it.blocks}


@pytest.mark.parametrize("kind", ["chat", "rag"])
def test_pressure_is_the_working_set_over_the_cache(kind: Kind) -> None:
    pressed = Workload(kind, context_tokens=1600).under_pressure(2.0, 100_000)
    assert pressed.working_set_tokens == pytest.approx(200_000, rel=0.05)
    held = {block for it in asked(pressed) for block in it.blocks}
    assert 16 * len(held) == pytest.approx(200_000, rel=0.25)  # with the questions; the shared part counts once


def test_there_is_no_pressure_where_nothing_comes_again() -> None:
    with pytest.raises(UsageError):
        Workload("random").under_pressure(1.0, 1000)


TRACE = Trace((Request(0, 1000, 10, (7, 8)), Request(1000, 512, 10, (10,)), Request(2000, 600, 10, (7, 9))))


def test_played_again_prompts_share_what_they_shared_and_nothing_with_another_round() -> None:
    workload = Workload.of_trace(TRACE, concurrency=4, is_timed=True)
    one, two = asked(workload, 1), asked(workload, 2)
    assert [it.at_ms for it in one] == [0, 1000, 2000]
    assert [it.input_tokens for it in one] == [1000, 512, 600]
    assert one[0].blocks[0] == one[2].blocks[0]
    assert len({block for it in one for block in it.blocks}) == 4
    assert not {block for it in one for block in it.blocks} & {block for it in two for block in it.blocks}


def test_what_warms_up_shares_nothing_with_a_trace() -> None:
    requests = Workload.of_trace(TRACE, concurrency=4, is_timed=False).requests(3)
    warm = {block for it in requests if it.label == WARM_UP for block in it.blocks}
    assert warm
    assert not warm & {block for it in requests if it.label != WARM_UP for block in it.blocks}
