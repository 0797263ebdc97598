"""agg with real vLLM: an answer survives its worker, thanks to the sidecar."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from watching import watched

from .asking import chat, chat_in_pieces, client, complete, prompt
from .figures import figures, registered, sidecar
from .harness import Dynkv, Status, unit, wait_for
from .random_model import ARGS

pytestmark = pytest.mark.stack

START_S = 240.0
"""A start takes 30 to 90 s on two cores."""
PROMPT_TOKENS = 1200
WHOLE_CHUNKS_TOKENS = 1024
"""The part of the prompt that the sidecar can hold: four chunks of 256 tokens."""


@dataclass(frozen=True)
class Agg:
    dynkv: Dynkv
    model: Path

    def ask(self, text: str) -> str:
        reply = complete(self.dynkv.endpoint, "random", text)
        assert reply.prompt_tokens >= PROMPT_TOKENS
        return reply.text

    def sidecar_port(self) -> int:
        port: int = unit(self.dynkv.status(), "lmcache")["ports"]["http"]
        return port

    def hit_tokens(self) -> float:
        return figures(self.sidecar_port()).get("lmcache_mp_lookup_hit_tokens_total", 0.0)

    def wait_until_stored(self, chunks: int) -> None:
        """Return when the sidecar holds that many chunks, and writes none."""
        port = self.sidecar_port()

        def stored() -> bool:
            l1 = sidecar(port)["storage_manager"]["l1_manager"]
            return bool(l1["total_object_count"] >= chunks and l1["write_locked_count"] == 0)

        wait_for(stored, f"{chunks} chunks in L1")


NAMES = ("--set", "model.served_name=[random, also/random]")


@pytest.fixture(scope="module")
def agg(module_dynkv: Dynkv, random_model: Path) -> Iterator[Agg]:
    args = ("--set", f"model.args={ARGS}", *NAMES)
    module_dynkv.up("agg", "--device", "cpu", "--model", str(random_model), *args, timeout_s=START_S)
    yield Agg(module_dynkv, random_model)
    assert module_dynkv.status()["state"] == "ready"


def test_it_is_ready_and_registered(agg: Agg) -> None:
    status = agg.dynkv.status()
    assert [one["role"] for one in status["units"]] == ["lmcache", "frontend", "worker"]
    assert status["state"] == "ready"
    assert len(registered(agg.sidecar_port())) == 1
    with client(agg.dynkv.endpoint) as openai_client:
        assert {model.id for model in openai_client.models.list()} == {"random", "also/random"}


def test_it_answers_to_both_of_its_names(agg: Agg) -> None:
    status = agg.dynkv.status()
    assert (status["model"], status["model_aliases"]) == ("random", ["also/random"])
    answers = [complete(agg.dynkv.endpoint, name, "once upon a time").text for name in ("random", "also/random")]
    assert answers[0]
    assert answers[0] == answers[1]


def test_it_chats_at_once_and_in_pieces(agg: Agg) -> None:
    whole = chat(agg.dynkv.endpoint, "random", "What is a cache?")
    pieces = chat_in_pieces(agg.dynkv.endpoint, "random", "What is a cache?")
    assert whole
    assert len(pieces) > 1
    assert "".join(pieces) == whole


def test_the_answer_depends_on_all_of_the_prompt(agg: Agg) -> None:
    """Otherwise getting the same answer twice would prove nothing about the KV blocks."""
    end = prompt(PROMPT_TOKENS // 2, seed=0)
    assert agg.ask(f"{prompt(PROMPT_TOKENS // 2, seed=1)} {end}") != agg.ask(
        f"{prompt(PROMPT_TOKENS // 2, seed=2)} {end}"
    )


def test_a_restarted_worker_reads_the_prompt_from_the_sidecar(agg: Agg) -> None:
    text = prompt(PROMPT_TOKENS, seed=10)
    answer = agg.ask(text)
    assert agg.ask(text) == answer
    agg.wait_until_stored(WHOLE_CHUNKS_TOKENS // 256)

    before, old_tree = agg.dynkv.status(), _worker_tree(agg.dynkv.status())
    agg.dynkv.do("restart", "worker-0")
    after = agg.dynkv.wait_for_restart("worker-0", before, START_S)
    _is_another_incarnation(before, after, old_tree)

    hits = agg.hit_tokens()
    assert agg.ask(text) == answer
    assert agg.hit_tokens() - hits >= WHOLE_CHUNKS_TOKENS


def test_a_killed_workers_engine_dies_with_it_and_the_cache_lives(agg: Agg) -> None:
    text = prompt(PROMPT_TOKENS, seed=11)
    answer = agg.ask(text)
    agg.wait_until_stored(2 * (WHOLE_CHUNKS_TOKENS // 256))

    before, old_tree = agg.dynkv.status(), _worker_tree(agg.dynkv.status())
    assert {"VLLM::EngineCore", "VLLM::Worker"} <= {_title(process) for process in old_tree}
    os.kill(unit(before, "worker-0")["pid"], signal.SIGKILL)
    after = agg.dynkv.wait_for_restart("worker-0", before, START_S)
    _is_another_incarnation(before, after, old_tree)
    assert unit(after, "worker-0")["last_exit"]["signal"] == signal.SIGKILL

    hits = agg.hit_tokens()
    assert agg.ask(text) == answer
    assert agg.hit_tokens() - hits >= WHOLE_CHUNKS_TOKENS


def test_a_sidecar_restarted_soon_after_its_worker_is_found_again(agg: Agg) -> None:
    """A worker looks for a lost sidecar only after its first request; before that, its next request would hang."""
    before = agg.dynkv.status()
    agg.dynkv.do("restart", "lmcache")
    after = agg.dynkv.wait_for_restart("lmcache", before)
    for name in ("frontend", "worker-0"):
        assert unit(after, name)["pid"] == unit(before, name)["pid"], "a soft dependency restarts nobody"
    text = prompt(PROMPT_TOKENS, seed=12)
    assert agg.ask(text) == agg.ask(text)


def test_the_sidecar_holds_the_living_worker_alone(agg: Agg) -> None:
    """The dead worker's registration is released, or reaped after 30 s."""
    port = agg.sidecar_port()
    wait_for(lambda: len(registered(port)) == 1, f"one registered worker, not {registered(port)}", 60)


EMPTY = {
    "gpu": "the host of the tests has no GPU",
    "nixl": "nothing is moved where workers prefill and decode",
    "l2": "this deployment has no L2",
    "recovery": "no outage lies within the window, or none",
}
"""Dashboard queries that may have no result here, and why; the mocker's table is in test_watched.py."""


def test_no_query_of_a_dashboard_is_empty_without_a_reason(agg: Agg, tmp_path: Path) -> None:
    agg.dynkv.do("observe", "--out", str(tmp_path))
    units = [one["name"] for one in agg.dynkv.status()["units"]]
    excused = re.compile("|".join(EMPTY))
    with watched(tmp_path) as prometheus:

        def missing() -> set[str]:
            complete(agg.dynkv.endpoint, "random", prompt(PROMPT_TOKENS, seed=21))
            return {query for query in prometheus.unanswered("agg", units) if not excused.search(query)}

        wait_for(lambda: not missing(), f"an answer to {missing()}", 60)


def test_a_bench_has_the_figures_that_the_units_count(agg: Agg, tmp_path: Path) -> None:
    own = ("--device", "cpu", "--model", str(agg.model), "--set", f"model.args={ARGS}", *NAMES)
    port = ("--set", f"frontend.port={agg.dynkv.port}")
    size = ("--users", "2", "--turns", "3", "--context", "1000", "--output", "8", "--rounds", "1")
    before = _caches(agg)
    done = agg.dynkv.do("bench", "agg", *own, *port, *size, "--out", str(tmp_path / "run"), "--json", timeout_s=300)
    grown = {name: value - before[name] for name, value in _caches(agg).items()}
    rows = {row["figure"]: row["values"]["agg"]["median"] for row in json.loads(done.stdout)["rows"]}
    assert rows["requests"] == 6
    gpu, sidecar_too = (100 * grown[hits] / grown[asked] for hits, asked in (GPU_CACHE, SIDECAR))
    assert gpu > 10, "later turns find what earlier ones have computed"
    assert rows["gpu_hit_rate"] == pytest.approx(gpu, rel=0.01)
    assert rows["sidecar_hit_rate"] == pytest.approx(sidecar_too, rel=0.01)


GPU_CACHE = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
SIDECAR = ("lmcache_mp_lookup_hit_tokens_total", "lmcache_mp_lookup_requested_tokens_total")


def _caches(agg: Agg) -> dict[str, float]:
    """The counters of the worker and the sidecar since they began."""
    ports = unit(agg.dynkv.status(), "worker-0")["ports"]
    said = {**figures(ports["system"]), **figures(agg.sidecar_port())}
    return {name: said.get(name, 0.0) for name in (*GPU_CACHE, *SIDECAR)}


def test_a_new_supervisor_takes_over_what_it_may_and_the_sidecar_forgets_the_rest(agg: Agg) -> None:
    """The last test of this deployment: it replaces the worker."""
    dynkv, before = agg.dynkv, agg.dynkv.status()
    text = prompt(PROMPT_TOKENS, seed=13)
    answer = agg.ask(text)
    agg.wait_until_stored(WHOLE_CHUNKS_TOKENS // 256)
    os.kill(before["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(before["supervisor"]["pid"]), "the supervisor is gone")
    args = ("--set", f"model.args={ARGS}", "--set", "model.max_length=4096", *NAMES)
    after = dynkv.up("agg", "--device", "cpu", "--model", str(agg.model), *args, timeout_s=START_S)
    for name in ("lmcache", "frontend"):
        assert unit(after, name)["pid"] == unit(before, name)["pid"]
    assert unit(after, "worker-0")["pid"] != unit(before, "worker-0")["pid"]
    assert "its plan has changed" in [event["cause"] for event in dynkv.events("agg")]
    assert len(registered(agg.sidecar_port())) == 1
    hits = agg.hit_tokens()
    assert agg.ask(text) == answer
    assert agg.hit_tokens() - hits >= WHOLE_CHUNKS_TOKENS


def _is_another_incarnation(before: Status, after: Status, old_tree: list[psutil.Process]) -> None:
    assert unit(after, "worker-0")["pid"] != unit(before, "worker-0")["pid"]
    for name in ("lmcache", "frontend"):
        assert unit(after, name)["pid"] == unit(before, name)["pid"]
    assert not [process for process in old_tree if process.is_running()]


def _worker_tree(status: Status) -> list[psutil.Process]:
    """The worker's main process, EngineCore, Worker, and their helpers."""
    main = psutil.Process(unit(status, "worker-0")["pid"])
    return [main, *main.children(recursive=True)]


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline()).strip()  # setproctitle adds padding
