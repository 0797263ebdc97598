"""Arguments and environment of single workers."""

from __future__ import annotations

import msgspec
import pytest
from hosts import host, plan, profile

from dynkv.errors import ProfileError, UsageError
from dynkv.plan.difference import Action, difference
from dynkv.plan.environment import kept_secrets
from dynkv.plan.model import Plan

SECOND = {"args": ["--max-num-seqs", "4"], "env": {"VLLM_LOGGING_LEVEL": "DEBUG"}}


def with_second(engine: str = "vllm", **more: object) -> Plan:
    return plan("agg", host(2), {"engine": engine, "workers.each": {"worker-1": {**SECOND, **more}}})


@pytest.mark.parametrize("engine", ["vllm", "mocker"])
def test_one_worker_alone_has_what_is_given_to_it_after_what_all_have(engine: str) -> None:
    made = plan(
        "agg",
        host(2),
        {
            "engine": engine,
            "workers.replicas": 2,
            "model.args": ["--seed", "1"],
            "workers.env": {"VLLM_LOGGING_LEVEL": "INFO"},
            "workers.each": {"worker-1": SECOND},
        },
    )
    first, second = made.unit("worker-0"), made.unit("worker-1")
    assert second.argv[-4:] == ("--seed", "1", "--max-num-seqs", "4")
    assert "--max-num-seqs" not in first.argv
    assert (first.env["VLLM_LOGGING_LEVEL"], second.env["VLLM_LOGGING_LEVEL"]) == ("INFO", "DEBUG")


def test_only_that_worker_changes() -> None:
    changes = difference(plan("agg", host(2)), with_second(env={}), is_same_version=True)
    restarted = {unit.name: unit.reasons for unit in changes.units if unit.action is Action.RESTART}
    assert restarted == {"worker-1": ("--max-num-seqs: nothing → 4",)}


def test_a_secret_of_one_worker_reaches_it_alone() -> None:
    settings = {"workers.each": {"worker-1": {"env": {"HF_TOKEN": "of-second"}}}}
    made = plan("agg", host(2), settings)
    assert b"of-second" not in msgspec.json.encode(made)
    kept = kept_secrets(profile("agg", settings), made)
    assert kept == {made.unit("worker-1").own_secrets["HF_TOKEN"]: "of-second"}
    assert made.unit("worker-0").own_secrets == {}


@pytest.mark.parametrize("name", ["worker-2", "decode-0", "frontend"])
def test_who_is_not_there_is_named_with_those_who_are(name: str) -> None:
    with pytest.raises(UsageError, match=f"no worker is named '{name}'") as caught:
        plan("agg", host(2), {"workers.each": {name: SECOND}})
    assert caught.value.hint == "available: worker-0, worker-1"


@pytest.mark.parametrize(
    ("name", "one", "words"),
    [
        ("worker-1", {"args": ["--kv-transfer-config", "{}"]}, "--kv-transfer-config is planned by dynkv"),
        ("worker-1", {"args": ["--data-parallel-rank", "1"]}, "--data-parallel-rank cannot be planned"),
        ("worker-1", {"env": {"CUDA_VISIBLE_DEVICES": "0"}}, "CUDA_VISIBLE_DEVICES cannot be set"),
        ("prefill-0", {"args": ["--dtype", "half"]}, "prefill and decode must agree on --dtype"),
        ("worker-1", {"arguments": []}, "did you mean 'args'|unknown key 'arguments'"),
    ],
)
def test_what_the_plan_decides_is_refused_for_one_worker_too(name: str, one: dict[str, object], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        plan("agg", host(2), {"workers.each": {name: one}})


def test_one_with_other_variables_does_not_start_from_the_standby() -> None:
    """They may have been read while modules were imported."""
    (standby,) = with_second().standbys
    assert standby.others == ("worker-1",)
    assert standby.env.get("VLLM_LOGGING_LEVEL") != "DEBUG"
    assert with_second(env={}).standbys[0].others == ()
