"""What changes when one plan replaces another."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import host, plan

from dynkv.plan.difference import Action, Difference, difference

OWN = {"units": [{"name": "web", "argv": ["serve", "--port", "9"], "env": {"A": "b"}, "ports": {"http": 9}}]}


def between(before: dict[str, Any], after: dict[str, Any], *, gpus: int = 2, profile: str = "agg") -> Difference:
    one, other = (plan(profile, host(gpus), settings) for settings in (before, after))
    return difference(one, other, is_same_version=True)


def changed(found: Difference) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {unit.name: (unit.action, unit.reasons) for unit in found.units if unit.action != "keep" or unit.reasons}


def test_nothing() -> None:
    found = between(OWN, OWN)
    assert found.is_none
    assert [unit.action for unit in found.units] == [Action.KEEP] * 5


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"model.max_length": 4096},
            {f"worker-{n}": ("restart", ("--max-model-len: nothing → 4096",)) for n in (0, 1)},
        ),
        (
            {"env": {"VLLM_X": "1"}},
            dict.fromkeys(("lmcache", "frontend", "worker-0", "worker-1"), ("restart", ("env VLLM_X: nothing → 1",))),
        ),
        ({"lmcache.l1_size_gb": 5}, {"lmcache": ("restart", ("--l1-size-gb: 20 → 5",))}),
        (
            {"env": {"MY_TOKEN": "s3cr3t"}},
            dict.fromkeys(
                ("lmcache", "frontend", "worker-0", "worker-1"), ("restart", ("secret MY_TOKEN: now given",))
            ),
        ),
        ({"workers.replicas": 1}, {"worker-1": ("stop", ("no longer in the profile",))}),
        (
            {"probes": {"worker": {"readiness": {"period_seconds": 3}}}},
            {f"worker-{n}": ("keep", ("probes",)) for n in (0, 1)},
        ),
        ({"stop.lmcache_s": 99}, {"lmcache": ("keep", ("stop deadline",))}),
        ({"frontend.router_mode": "random"}, {"frontend": ("restart", ("--router-mode: round-robin → random",))}),
        (OWN, {"web": ("start", ("new in the profile",))}),
    ],
)
def test_one_change(settings: dict[str, Any], expected: dict[str, object]) -> None:
    assert changed(between({}, settings)) == expected


def test_of_the_whole() -> None:
    found = between({}, {"logs.keep": 9, "standby": "always"})
    assert (found.reasons, changed(found), found.is_none) == (("rotation of logs", "standby"), {}, False)


def test_of_a_unit_of_ones_own() -> None:
    other = {
        "units": [{"name": "web", "argv": ["serve", "-v", "--port=8", "x"], "env": {"A": "c"}, "ports": {"http": 8}}]
    }
    assert changed(between(OWN, other)) == {
        "web": ("restart", ("--port: 9 → 8 x", "-v: nothing → set", "env A: b → c", "port http: 9 → 8"))
    }


def test_of_gpus() -> None:
    found = difference(plan("agg", host(2)), plan("agg", host(2), {"workers.gpus": [1]}), is_same_version=True)
    assert changed(found)["worker-0"] == (
        "restart",
        ("env CUDA_VISIBLE_DEVICES: 0 → 1", "GPUs: 0 → 1"),
    )


def test_another_version_replaces_the_supervisor() -> None:
    made = plan("agg", host(1))
    found = difference(made, made, is_same_version=False)
    assert (found.supervisor, found.is_none) == ("replace", False)


@pytest.mark.parametrize("name", ["HOME", "PATH", "LC_ALL", "TERM"])
def test_who_asks_from_where_is_no_difference(name: str) -> None:
    one, other = (plan("agg", host(1, environ={name: f"/{n}"})) for n in (1, 2))
    assert difference(one, other, is_same_version=True).is_none


ONE_OF_EACH, CARD = "running requests: nothing replaces", "the frontend accepts no workers with a different "


@pytest.mark.parametrize(
    ("profile", "before", "after", "lost"),
    [
        ("agg", {}, {}, []),
        ("agg", {}, {"model.args": ["--max-num-seqs=64"]}, []),
        ("agg", {"workers.replicas": 1}, {"model.args": ["--max-num-seqs=64"]}, [f"{ONE_OF_EACH} worker-0 meanwhile"]),
        ("disagg", {}, {"model.args": ["--max-num-seqs=64"]}, [f"{ONE_OF_EACH} decode-0 and prefill-0 meanwhile"]),
        ("agg", {}, {"workers.each": {"worker-0": {"env": {"VLLM_X": "1"}}}}, []),
        ("agg", {}, {"model.max_length": 4096}, [f"{CARD}--max-model-len at the same time"]),
        ("agg", {}, {"workers.block_size": 32}, [f"{CARD}--block-size at the same time"]),
        (
            "agg",
            {},
            {"model.served_name": "other"},
            ["requests for Qwen/Qwen3-0.6B, also running ones: the model's name"],
        ),
        ("agg", {}, {"model.served_name": ["Qwen/Qwen3-0.6B", "q"]}, [f"{CARD}--served-model-name at the same time"]),
        (
            "agg",
            {"frontend.migration_limit": 0},
            {"model.args": ["--max-num-seqs=64"]},
            ["running requests of each worker: frontend.migration_limit is 0"],
        ),
        (
            "agg",
            {},
            {"frontend.router_mode": "kv"},
            ["new requests until the frontend is back, and running ones that take"],
        ),
        (
            "agg",
            {"frontend.env": {"DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS": "30"}},
            {"frontend.router_mode": "random"},
            ["running ones that take more than 30 s longer"],
        ),
        (
            "agg",
            {"workers.replicas": 1},
            {"frontend.router_mode": "kv"},
            ["new requests until the frontend is back", f"{ONE_OF_EACH} worker-0 meanwhile"],
        ),
        ("agg", {}, {"lmcache.chunk_size": 512}, ["what the sidecar holds in L1"]),
        ("agg", {}, {"restart.max_restarts": 1}, []),
        ("agg", {}, {"workers.replicas": 1}, []),
        (
            "agg",
            {},
            {"workers.replicas": 1, "model.args": ["--max-num-seqs=64"]},
            [f"{ONE_OF_EACH} worker-0 meanwhile"],
        ),
        (
            "agg",
            {"frontend.migration_limit": 0},
            {"workers.replicas": 1},
            ["running requests of each worker: frontend.migration_limit is 0"],
        ),
        ("agg", {}, {"lmcache.enabled": False, "workers.replicas": 2}, ["what the sidecar holds in L1"]),
    ],
)
def test_what_it_costs(profile: str, before: dict[str, Any], after: dict[str, Any], lost: list[str]) -> None:
    found = between(before, {**before, **after}, profile=profile)
    assert len(found.losses) == len(lost)
    assert [loss for loss, words in zip(found.losses, lost, strict=True) if words not in loss] == []
