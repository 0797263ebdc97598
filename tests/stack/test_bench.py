"""`dynkv bench` with mockers of known speed."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dynkv.profile.load import load

from .harness import MOCKER, Dynkv, fresh_dynkv, pids, said, wait_for

pytestmark = pytest.mark.stack

SMALL = ("--users", "4", "--turns", "3", "--context", "512", "--output", "32")
SLOW, DOOMED = "agg --set 'model.args=[--speedup-ratio, \"0.5\"]'", "agg --set python=/nowhere/python"
SLOW_NAME, DOOMED_NAME = "agg 'model.args=[--speedup-ratio, \"0.5\"]'", "agg python=/nowhere/python"


@pytest.fixture(scope="module")
def dynkv() -> Iterator[Dynkv]:
    with fresh_dynkv() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def folder(dynkv: Dynkv) -> Path:
    return dynkv.home.parent / f"{dynkv.home.name}-bench"


def words(dynkv: Dynkv, *more: str) -> list[str]:
    port = ("--set", f"frontend.port={dynkv.port}")
    return ["bench", "agg", *MOCKER, "--no-lmcache", *port, *SMALL, *more]


def compared(dynkv: Dynkv, folder: Path) -> list[str]:
    return words(dynkv, "--against", SLOW, "--against", DOOMED, "--rounds", "3", "--out", str(folder / "run"))


def rounds(folder: Path) -> list[dict[str, Any]]:
    file = folder / "run" / "rounds.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line["round"] for line in lines if "round" in line]


def test_ctrl_c_keeps_what_is_finished_and_leaves_nothing_running(dynkv: Dynkv, folder: Path) -> None:
    with dynkv.started(*compared(dynkv, folder)) as bench:
        wait_for(lambda: bool(rounds(folder)), "a first round", 120)
        begun = psutil.Process(bench.pid).children(recursive=True)
        bench.send_signal(signal.SIGINT)
        assert bench.wait(60) == 130
    _, alive = psutil.wait_procs(begun, timeout=10)
    assert alive == []
    assert dynkv.run("status", "bench").returncode == 3
    assert "continues from" in dynkv.background_output()


@pytest.fixture(scope="module")
def answer(dynkv: Dynkv, folder: Path) -> dict[str, Any]:
    """The result of the interrupted run, completed."""
    before = rounds(folder)
    written = ("--html", str(folder / "page.html"), "--write", str(folder / "mine.yaml"), "--json")
    result = dynkv.run(*compared(dynkv, folder), *written, timeout_s=300)
    assert result.returncode == 0, said(result)
    assert rounds(folder)[: len(before)] == before
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def row(answer: dict[str, Any], figure: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in answer["rows"] if row["figure"] == figure)
    return found


def test_a_difference_that_was_built_in_is_found(answer: dict[str, Any], folder: Path) -> None:
    for figure, ratio in (("itl_p50_s", 2.0), ("e2e_p50_s", 2.0), ("output_tokens_per_s", 0.5)):
        slow = row(answer, figure)["against"][SLOW_NAME]
        assert slow["ratio"] == pytest.approx(ratio, rel=0.15), figure
        assert slow["verdict"] == ("higher" if ratio > 1 else "lower"), figure
        assert slow["is_better"] is False
    assert answer["best"] == ""
    assert answer["verdict"].startswith("On this traffic, agg is the one to use: ")
    assert load(str(folder / "mine.yaml")).profile.engine == "mocker"


def test_all_variants_are_asked_the_same(answer: dict[str, Any], folder: Path) -> None:
    assert sorted((it["round"], it["variant"]) for it in rounds(folder)) == sorted(
        (number, name) for number in (1, 2, 3) for name in ("agg", SLOW_NAME)
    )
    for figure, count in (("requests", 12), ("output_tokens", 12 * 32), ("failed", 0)):
        assert {value["median"] for value in row(answer, figure)["values"].values()} == {count}
    turns = {it["label"]: it["seconds"] for it in answer["first_tokens"]}
    assert turns.keys() == {"turn 1", "turn 2", "turn 3"}
    assert turns["turn 2"]["agg"] < turns["turn 1"]["agg"]  # the mocker has a prefix cache


def test_a_variant_that_cannot_come_up_is_a_row_with_its_reason(answer: dict[str, Any]) -> None:
    [failure] = answer["failures"]
    assert failure["variant"] == DOOMED_NAME
    assert "/nowhere/python" in failure["reason"]


def test_the_page_has_figures(answer: dict[str, Any], folder: Path) -> None:
    page = (folder / "page.html").read_text()
    assert page.count("<svg") == page.count("</svg>") == 1
    assert answer["verdict"].replace("'", "&#x27;").replace('"', "&quot;") in page


def test_one_that_runs_is_measured_as_it_stands_and_goes_on(dynkv: Dynkv, folder: Path) -> None:
    before = dynkv.up("agg", *MOCKER, "--no-lmcache")
    trace = folder / "trace.jsonl"
    lines = [{"timestamp": 10 * n, "input_length": 512, "output_length": 8, "hash_ids": [n // 2]} for n in range(8)]
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = ("--rounds", "1", "--trace", str(trace), "--out", str(folder / "running"), "--json")
    found = json.loads(dynkv.do(*words(dynkv), *out, timeout_s=120).stdout)
    assert row(found, "requests")["values"]["agg"]["median"] == 8
    chats = ("--tool", "lmcache", "--rate", "8", "--rounds", "1", "--out", str(folder / "chats"), "--json")
    found = json.loads(dynkv.do(*words(dynkv), *chats, timeout_s=120).stdout)
    assert found["tool"] == "lmcache bench engine"
    assert row(found, "requests")["values"]["agg"]["median"] == pytest.approx(12, abs=4)  # as many as the time allows
    assert {"turn 1", "turn 2"} <= {it["label"] for it in found["first_tokens"]}
    assert pids(dynkv.status()) == pids(before)
    in_the_way = dynkv.run(*words(dynkv, "--against", "disagg", "--out", str(folder / "other")))
    assert in_the_way.returncode == 4
    assert "agg is running" in in_the_way.stderr
    dynkv.do("down")


@pytest.mark.skipif(shutil.which("aiperf") is None, reason="aiperf is not installed")
def test_aiperf_plays_a_trace(dynkv: Dynkv, folder: Path) -> None:
    """Its blocks are shared and truncated, and one request has no whole block."""
    dynkv.up("agg", *MOCKER, "--no-lmcache")
    folder.mkdir(exist_ok=True)
    trace = folder / "short.jsonl"
    lines = [{"timestamp": 10 * n, "input_length": 600 - n, "output_length": 8, "hash_ids": [1, 2]} for n in range(11)]
    lines.append({"timestamp": 110, "input_length": 100, "output_length": 1, "hash_ids": []})
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = ("--tool", "aiperf", "--rounds", "1", "--trace", str(trace), "--out", str(folder / "aiperf"), "--json")
    found = json.loads(dynkv.do(*words(dynkv), *out, timeout_s=120).stdout)
    assert found["tool"] == "aiperf profile"
    for figure, count in (("requests", 12), ("failed", 0), ("output_tokens", 11 * 8 + 1)):
        assert row(found, figure)["values"]["agg"]["median"] == count, figure
    assert row(found, "input_tokens")["values"]["agg"]["median"] == pytest.approx(sum(600 - n for n in range(11)) + 100)
    dynkv.do("down")


@pytest.mark.parametrize(
    "more",
    [
        ("--against", "agg --name other"),
        ("--against", "agg --no-such-option"),
        ("--against", "no-such-profile"),
        ("--kv-pressure", "0"),
        ("--kv-pressure", "1", "--workload", "random"),
        ("--goodput", "ttft"),
        ("--sweep", "lmcache.chunk_size"),
        ("--trace", "/nowhere"),
        ("--tool", "lmcache", "--workload", "prefix"),
        ("--tool", "lmcache", "--kv-pressure", "1,2"),
    ],
)
def test_a_mistake_starts_nothing(dynkv: Dynkv, folder: Path, more: tuple[str, ...]) -> None:
    result = dynkv.run(*words(dynkv, *more, "--out", str(folder / "mistaken")))
    assert result.returncode == 2, said(result)
    assert not (folder / "mistaken").exists()
