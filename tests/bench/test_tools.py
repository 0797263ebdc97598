"""The command lines and reports of load generators."""

from __future__ import annotations

import json
from pathlib import PurePath

import pytest

from dynkv.bench.lmcache_bench import LMCacheBench
from dynkv.bench.tools import Target
from dynkv.bench.vllm_serve import VllmServe
from dynkv.bench.workloads import Asked, Workload

TARGET, STEM = Target("http://127.0.0.1:8000", "m", "/models/m"), PurePath("/out/round-1")
REQUESTS = [
    Asked(0, 16, 4, (1,), "warm-up"),
    Asked(0, 32, 4, (1, 2), "turn 1"),
    Asked(5, 32, 4, (1, 3), "turn 1"),
    Asked(9, 32, 4, (1, 4), "turn 2"),
]


def given(arguments: list[str]) -> dict[str, str]:
    """The options that have a value."""
    pairs = zip(arguments, [*arguments[1:], "--"], strict=True)
    return {name: value for name, value in pairs if name.startswith("--") and not value.startswith("--")}


def test_vllm_is_told_where_the_requests_are_and_how_many_at_a_time() -> None:
    told = VllmServe().arguments(TARGET, Workload("chat", users=4, concurrency=16), REQUESTS, STEM)
    options = given(told)
    assert options["--dataset-path"] == "/out/round-1.jsonl"
    assert options["--num-prompts"] == "4"
    assert options["--max-concurrency"] == "4", "a turn follows the answer to the one before"
    assert options["--tokenizer"] == "/models/m"
    assert "--no-self-timed" in told


def test_a_trace_is_played_at_its_times() -> None:
    told = VllmServe().arguments(TARGET, Workload("trace", is_timed=True, block_tokens=512), REQUESTS, STEM)
    assert "--self-timed" in told
    assert "--max-concurrency" not in told
    assert given(told)["--timed-trace-chunk-hash-size"] == "512"


def test_requests_are_written_as_a_trace() -> None:
    first = json.loads(VllmServe().text(REQUESTS).splitlines()[1])
    assert first == {"timestamp": 0, "input_length": 32, "output_length": 4, "hash_ids": [1, 2]}


def vllm_report(**changed: object) -> str:
    report = {
        "start_times": [10.0, 11.0, 12.0, 13.0],
        "ttfts": [9.0, 0.5, 0.0, 0.25],
        "itls": [[], [0.1, 0.1], [], [0.2]],
        "input_lens": [16, 32, 32, 32],
        "output_lens": [4, 3, 0, 2],
        "errors": ["", "", "HTTP 503", ""],
    }
    return json.dumps({**report, **changed})


def test_warming_up_counts_for_nothing_and_a_failure_is_told() -> None:
    load = VllmServe().load_of(vllm_report(), REQUESTS)
    assert [(it.label, it.start_s, it.ttft_s, it.output_tokens) for it in load.answered] == [
        ("turn 1", 11.0, 0.5, 3),
        ("turn 2", 13.0, 0.25, 2),
    ]
    assert (load.failed, load.error) == (1, "HTTP 503")


@pytest.mark.parametrize("report", ["[]", "{}", "no JSON", vllm_report(ttfts=[1.0]), vllm_report(errors=None)])
def test_what_is_no_report_is_refused(report: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        VllmServe().load_of(report, REQUESTS)


def test_lmcache_makes_as_many_chats_as_there_are_users() -> None:
    workload = Workload("chat", users=6, turns=3, shared_tokens=100, context_tokens=900, rate=2.0)
    options = given(LMCacheBench().arguments(TARGET, workload, REQUESTS, STEM))
    assert int(float(options["--kv-cache-volume"]) * float(options["--tokens-per-gb-kvcache"]) / 1000) == 6
    assert (options["--mrc-qps"], options["--mrc-duration"]) == ("2", "9")
    assert options["--output-dir"] == "/out/round-1"


COLUMNS = "request_id successful ttft request_latency num_input_tokens num_output_tokens decode_speed submit_time"
CSV = (
    ",".join([*COLUMNS.split(), "first_token_time", "finish_time", "error"])
    + """
s1_r3,True,0.2,0.5,300,4,13,103.0,0,0,
s0_r0,True,0.4,0.8,200,5,10,100.0,0,0,
s1_r1,True,0.3,0.7,200,5,10,101.0,0,0,
s0_r2,False,0,0,0,0,0,102.0,0,0,timed out
"""
)


def test_lmcaches_turns_are_counted_by_chat() -> None:
    load = LMCacheBench().load_of(CSV, ())
    assert [(it.label, it.start_s, it.ttft_s) for it in load.answered] == [
        ("turn 1", 100.0, 0.4),
        ("turn 1", 101.0, 0.3),
        ("turn 2", 103.0, 0.2),
    ]
    assert load.answered[0].e2e_s == pytest.approx(0.8)
    assert load.answered[0].itl_s == pytest.approx(0.1)
    assert (load.failed, load.error) == (1, "timed out")


@pytest.mark.parametrize("kind", ["prefix", "trace"])
def test_lmcache_says_what_it_does_not_know(kind: str) -> None:
    assert kind in LMCacheBench().refusal(Workload(kind))  # type: ignore[arg-type]
    assert not LMCacheBench().refusal(Workload("chat"))
