"""aiperf's command line, where it is found, and its report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path, PurePath
from typing import Any

import pytest

from dynkv.bench.aiperf import Aiperf
from dynkv.bench.lmcache_bench import LMCacheBench
from dynkv.bench.tools import Target
from dynkv.bench.trace import Request
from dynkv.bench.workloads import Asked, Workload
from dynkv.cli.bench_generator import generator_of
from dynkv.errors import ProgramMissing, UsageError
from dynkv.instack import script

DIRECTORY, STEM = Target("http://127.0.0.1:8000", "m", "/models/m"), PurePath("/out/round-1")
REQUESTS = [
    Asked(0, 16, 16, (0,), "warm-up"),
    Asked(0, 64, 16, (1, 2, 3, 4), "turn 1"),
    Asked(100, 61, 1, (1, 2, 3, 5), "turn 2"),
    Asked(200, 64, 16, (1, 2, 3, 6), "turn 2"),
]
TIMED = Workload("trace", is_timed=True)


def told(workload: Workload = TIMED, target: Target = DIRECTORY) -> list[str]:
    return Aiperf("/bin/aiperf", 16).arguments(target, workload, REQUESTS, STEM)


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def blocks(requests: list[Asked], block_tokens: int = 16) -> list[list[int]]:
    lines = Aiperf("aiperf", block_tokens).text(requests).splitlines()
    return [json.loads(line)["hash_ids"] for line in lines]


def test_a_trace_is_played_at_its_times() -> None:
    words = told()
    assert "--fixed-schedule" in words
    assert "--concurrency" not in words
    assert value(words, "--input-file") == "/out/round-1.jsonl"
    assert value(words, "--prompt-input-tokens-block-size") == "16"
    assert value(words, "--model") == "m"


def test_other_traffic_is_so_many_at_a_time_each_request_once() -> None:
    words = told(Workload("chat", users=3, concurrency=16))
    assert "--no-fixed-schedule" in words
    assert (value(words, "--concurrency"), value(words, "--request-count")) == ("3", "4")
    assert value(told(Workload("random", concurrency=16)), "--concurrency") == "4", "more than there are, it refuses"


def test_a_directory_is_found_in_a_cache_of_the_hub_and_an_id_in_the_users_own() -> None:
    assert told()[:2] == ["/out/round-1/hub", "/models/m"]
    assert "HF_HUB_CACHE=/out/round-1/hub" in told()
    words = told(target=Target("http://127.0.0.1:8000", "m", "org/m"))
    assert words[1] == ""
    assert value(words, "--tokenizer") == "org/m"
    assert not [word for word in words if word.startswith("HF_HUB_CACHE")]


def test_requests_are_sessions_of_a_trace() -> None:
    second = json.loads(Aiperf("aiperf", 16).text(REQUESTS).splitlines()[1])
    assert {key: second[key] for key in second.keys() - {"hash_ids"}} == {
        "session_id": "1",
        "timestamp": 0,
        "input_length": 64,
        "output_length": 16,
    }


def test_the_same_blocks_are_the_same_and_one_cut_short_is_another() -> None:
    whole, short, again = blocks([Asked(0, 48, 1, (1, 2, 3)), Asked(0, 45, 1, (1, 2, 3)), Asked(0, 45, 1, (1, 2, 3))])
    assert whole[:2] == short[:2]
    assert whole[2] != short[2]
    assert short == again
    assert len({*whole, *short}) == 4


def test_tokens_of_no_block_are_of_this_request_alone() -> None:
    one, other = blocks([Asked(0, 40, 1, (7,)), Asked(0, 40, 1, (7,))])
    assert len(one) == len(other) == 3
    assert set(one) & set(other) == {one[0]}


def record(number: int, metrics: dict[str, Any], **more: Any) -> str:
    return json.dumps({"metadata": {"conversation_id": str(number), **STARTED[number]}, "metrics": metrics, **more})


STARTED = [{"request_start_ns": 1795825418732596129 + number * 98494341} for number in range(4)]
GAPS = [5.426, 5.799, 5.797, 5.728, 5.658, 5.638, 5.795, 5.679, 5.793, 5.716, 5.766, 5.662, 8.839, 2.958, 23.699]
MANY = {
    "input_sequence_length": {"value": 64, "unit": "tokens"},
    "time_to_first_token": {"value": 25.417764, "unit": "ms"},
    "request_latency": {"value": 129.372653, "unit": "ms"},
    "output_sequence_length": {"value": 16, "unit": "tokens"},
    "inter_chunk_latency": {"value": GAPS, "unit": "ms"},
}
SINGLE = {
    "input_sequence_length": {"value": 61, "unit": "tokens"},
    "time_to_first_token": {"value": 33.978353, "unit": "ms"},
    "request_latency": {"value": 33.978353, "unit": "ms"},
    "output_sequence_length": {"value": 1, "unit": "tokens"},
}
ERROR = {"code": 404, "type": "Not Found", "message": '{"message":"Model not found","type":"Not Found","code":404}'}
RECORDS = [record(2, SINGLE), record(0, MANY), record(1, MANY), record(3, {}, error=ERROR)]
"""Shortened output of aiperf 0.13.0 with mockers, complete in the fields that are read; requests are in the order of
their end."""


def load_of(records: list[str]) -> Any:
    return Aiperf("aiperf", 16).load_of("".join(f"{it}\n" for it in records), REQUESTS)


def test_its_records_are_requests_in_seconds() -> None:
    load = load_of(RECORDS)
    assert [(it.label, it.input_tokens, it.output_tokens) for it in load.answered] == [
        ("turn 1", 64, 16),
        ("turn 2", 61, 1),
    ]
    many, single = load.answered
    assert many.start_s == pytest.approx(1795825418.8311, abs=1e-3)
    assert many.ttft_s == pytest.approx(0.0254, abs=1e-4)
    assert many.e2e_s == pytest.approx(0.12937, abs=1e-4)
    assert many.itl_s == pytest.approx(0.00693, abs=1e-4)
    assert (single.e2e_s, single.itl_s) == (single.ttft_s, None)


def test_a_failure_is_told_and_so_is_an_answer_without_a_token() -> None:
    load = load_of(RECORDS)
    assert load.failed == 1
    assert "Model not found" in load.error
    load = load_of([*RECORDS[:3], record(3, {"request_latency": {"value": 1.0, "unit": "ms"}})])
    assert (load.failed, load.error) == (1, "no token")


@pytest.mark.parametrize(
    "records",
    [RECORDS[:3], [*RECORDS[:3], "{}"], [*RECORDS[:3], "no JSON"], [*RECORDS[:3], record(3, {}, error=[])[:9]]],
)
def test_what_is_no_report_is_refused(records: list[str]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        load_of(records)


@pytest.mark.parametrize("request_", [Request(0, 0, 4, ()), Request(0, 16, 0, (1,))])
def test_nothing_cannot_be_asked_for(request_: Request) -> None:
    assert "1 requests" in Aiperf("aiperf", 16).refusal(Workload("trace", recorded=(request_, Request(0, 1, 1, (1,)))))
    assert not Aiperf("aiperf", 16).refusal(Workload("trace", recorded=(Request(0, 1, 1, (1,)),)))


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stack's interpreter is; nothing is on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    (tmp_path / "stack").mkdir()
    return tmp_path / "stack"


def program(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_found_on_the_path_and_first_beside_the_stack(beside: Path, tmp_path: Path) -> None:
    pythons = [str(beside / "python")]
    elsewhere = program(tmp_path / "nowhere" / "aiperf")
    assert generator_of("aiperf", TIMED, (), pythons) == Aiperf(elsewhere, TIMED.block_tokens)
    own = program(beside / "aiperf")
    assert generator_of("aiperf", TIMED, (), pythons) == Aiperf(own, TIMED.block_tokens)


def test_where_it_is_not_installed_it_says_how_to_get_it(beside: Path) -> None:
    with pytest.raises(ProgramMissing) as refused:
        generator_of("aiperf", TIMED, (), [str(beside / "python")])
    assert refused.value.exit_code == 2
    assert "pipx install aiperf" in refused.value.hint


def test_others_need_no_program_and_are_refused_what_they_cannot(beside: Path) -> None:
    assert isinstance(generator_of("lmcache", Workload("chat"), (1.0,), ()), LMCacheBench)
    with pytest.raises(UsageError, match="at each pressure"):
        generator_of("lmcache", Workload("chat"), (1.0, 2.0), ())


def ran(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", script("bench_load"), "aiperf"],
        input=json.dumps(arguments) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_run_is_a_process_that_finds_the_directory_in_the_cache(tmp_path: Path) -> None:
    model, hub = tmp_path / "model", tmp_path / "hub"
    model.mkdir()
    (model / "tokenizer.json").write_text("{}")
    entry = hub / "models--dynkv--tokenizer"
    for _ in range(2):  # each round makes a new one
        assert ran(str(hub), str(model), "cat", str(entry / "snapshots" / "local" / "tokenizer.json")) == "\n"
    assert (entry / "refs" / "main").read_text() == "local"
    assert [it.name for it in model.iterdir()] == ["tokenizer.json"]


def test_how_it_ends_is_told(tmp_path: Path) -> None:
    assert ran(str(tmp_path / "hub"), "", "sh", "-c", "exit 3") == "it ended with 3\n"
    assert "No such file" in ran(str(tmp_path / "hub"), "", "/nowhere/aiperf")
    assert not (tmp_path / "hub").exists()
