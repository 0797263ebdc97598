"""Workers that start from the standby give the same answers as others, and restart from it, with their LoRA
adapters."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from .asking import client, complete, prompt
from .harness import Dynkv, Status, unit
from .random_model import make_random_lora

pytestmark = pytest.mark.stack

START_S = 300.0
LORAS = ("law", "org/code")
PROMPTS = [prompt(length, seed=length) for length in (5, 300, 1200)]


def test_agg_answers_the_same_however_its_worker_started(dynkv: Dynkv, random_model: Path, tmp_path: Path) -> None:
    """Without a sidecar, so that no part of an answer can come from an earlier worker."""
    words = ("--device", "cpu", "--model", str(random_model), "--no-lmcache", "--set", "standby=always")
    sizes = ("--set", "workers.block_size=128", "--set", "workers.tensor_parallel_size=2")
    for seed, name in enumerate(LORAS):
        make_random_lora(tmp_path / name.replace("/", "-"), random_model, seed)
    loras = json.dumps([{"name": name, "path": str(tmp_path / name.replace("/", "-"))} for name in LORAS])
    before = dynkv.up("agg", *words, *sizes, "--set", f"model.loras={loras}", timeout_s=START_S)
    first = _answers(dynkv, "random")
    assert len(set(first)) == len(first), "the answer depends on the prompt, and on the adapter"
    assert len(first) == len(PROMPTS) * (1 + len(LORAS))
    assert unit(before, "worker-0")["loras"] == [{"name": name, "loaded": True, "detail": ""} for name in LORAS]
    _is_like_a_plain_tree(before, ["VLLM::Worker_TP0", "VLLM::Worker_TP1"])

    after = _kill(dynkv, before, "worker-0")
    assert _starts_from_standby(dynkv, "agg") == ["worker-0", "worker-0"]
    assert _answers(dynkv, "random") == first

    os.kill(_spare(dynkv.status())["pid"], signal.SIGSTOP)
    plain = _kill(dynkv, after, "worker-0")
    assert _starts_from_standby(dynkv, "agg") == ["worker-0", "worker-0"], "a stopped one costs no start"
    assert _answers(dynkv, "random") == first
    warm_s, plain_s = (unit(status, "worker-0")["ready_after_s"] for status in (after, plain))
    print(f"ready after {warm_s} s from the standby, after {plain_s} s without")


def test_disagg_comes_back_from_one_standby_for_both_roles(dynkv: Dynkv) -> None:
    words = ("disagg", "--device", "cpu", "--model", "tiny", "--set", "standby=always")
    dynkv.do("park", *words, timeout_s=START_S)
    parked = _parked(dynkv)
    status = dynkv.up(*words, timeout_s=START_S)
    assert {standby["pid"] for standby in status["standbys"]} == parked.keys(), "the imports were parked for the host"
    assert _starts_from_standby(dynkv, "disagg") == ["decode-0", "prefill-0"]
    assert _spare(status)["roles"] == ["decode", "prefill"]
    first = _answers(dynkv, "tiny")
    _keep_to_cpus_of_their_own(status)
    for name in ("decode-0", "prefill-0"):
        status = _kill(dynkv, status, name)
        assert _answers(dynkv, "tiny") == first
    _keep_to_cpus_of_their_own(status)
    assert _starts_from_standby(dynkv, "disagg") == ["decode-0", "prefill-0"] * 2
    helped = [event for event in dynkv.events("disagg") if "what tells the sidecar starts from it" in event["message"]]
    assert len(helped) == 1, "prefill alone is registered at the sidecar"

    dynkv.do("down")
    after = _parked(dynkv)
    assert after.keys() == parked.keys()
    assert all(after[pid] < parked[pid] * 1.1 for pid in parked), f"they have grown: {parked}, {after}"
    dynkv.do("park", "--stop")


def _parked(dynkv: Dynkv) -> dict[int, int]:
    """The memory of each standby that is parked for the host."""
    return {it["pid"]: it["rss_bytes"] for it in json.loads(dynkv.do("park", "--json").stdout)["parked"]}


def _keep_to_cpus_of_their_own(status: Status) -> None:
    """Check all threads of all their processes; NIXL and vLLM bind some to other CPUs (vllm 0.31.0)."""
    used = []
    for name in ("decode-0", "prefill-0"):
        main = psutil.Process(unit(status, name)["pid"])
        threads = [thread.id for process in (main, *main.children(recursive=True)) for thread in process.threads()]
        used.append(set[int]().union(*(os.sched_getaffinity(thread) for thread in threads)))
    assert used[0] | used[1] <= os.sched_getaffinity(0)
    if len(os.sched_getaffinity(0)) > 1:
        assert used[0].isdisjoint(used[1])


def _answers(dynkv: Dynkv, model: str) -> list[str]:
    """The answers of the model and of its adapters, if any."""
    with client(dynkv.endpoint) as asked:
        models = [model, *sorted(it.id for it in asked.models.list() if it.id in LORAS)]
    return [complete(dynkv.endpoint, name, text).text for name in models for text in PROMPTS]


def _kill(dynkv: Dynkv, before: Status, name: str) -> Status:
    """Kill a worker; the status when its successor serves and the standbys wait for the next death."""
    os.kill(unit(before, name)["pid"], signal.SIGKILL)
    dynkv.wait_for_restart(name, before, START_S)
    return dynkv.wait_until(
        lambda status: all(standby["state"] in ("parked", "ended") for standby in status["standbys"]),
        before["name"],
        120,
    )


def _spare(status: Status) -> dict[str, Any]:
    found: dict[str, Any] = next(standby for standby in status["standbys"] if standby["name"] == "standby")
    return found


def _starts_from_standby(dynkv: Dynkv, name: str) -> list[str]:
    messages = [event["message"] for event in dynkv.events(name) if event["unit"] == "standby"]
    return [message.split()[0] for message in messages if "starts from it" in message]


def _is_like_a_plain_tree(status: Status, ranks: list[str]) -> None:
    """Check the names and markers by which people and dynkv know a worker's processes, and their scheduling."""
    main = psutil.Process(unit(status, "worker-0")["pid"])
    tree = [main, *main.children(recursive=True)]
    assert main.cmdline()[1:4] == ["-P", "-m", "dynamo.vllm"]
    assert {"VLLM::EngineCore", *ranks} <= {" ".join(process.cmdline()) for process in tree}
    assert {process.environ()["DYNKV_UNIT"] for process in tree} == {"worker-0"}
    assert {os.getsid(process.pid) for process in tree} == {main.pid}
    assert {process.nice() for process in tree} == {main.nice()}
