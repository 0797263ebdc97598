"""What must exist before anything starts is in the plan, and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hosts import HOME, LOCAL_TINY, PYTHON, SCRIPTS, host, plan

from dynkv.errors import PreflightRefused
from dynkv.plan.model import Plan
from dynkv.plan.steps import MakeDirectory, Run, in_words

ETCD = {"backend": "etcd", "etcd_endpoints": ["http://a:2379"]}
ON_CPU = {"device": "cpu", "model.path": "tiny"}
DISCOVERY = MakeDirectory(f"{HOME}/agg/discovery", 0o700, "Dynamo's discovery")
TINY = (
    MakeDirectory(f"{HOME}/_models", 0o700, "models that dynkv makes itself"),
    Run(
        (PYTHON, f"{SCRIPTS}/tiny_model.py", f"{HOME}/_models/tiny"),
        f"{HOME}/_models/tiny/config.json",
        "the tiny model",
        "the stack's interpreter needs the tokenizers package, which comes with ai-dynamo",
    ),
)


def fs(path: str) -> dict[str, str]:
    return {"type": "fs", "base_path": path}


def l2(path: str) -> MakeDirectory:
    return MakeDirectory(path, 0o700, "L2 of the sidecar")


def prepared(settings: dict[str, Any]) -> tuple[MakeDirectory | Run, ...]:
    return plan("agg", host(1, model=LOCAL_TINY), settings).prepare


def test_discovery_has_its_directory() -> None:
    assert prepared({}) == (DISCOVERY,)
    assert prepared({"discovery": ETCD}) == ()


@pytest.mark.parametrize(
    "settings",
    [ON_CPU, {"engine": "mocker", "model.path": "tiny"}, {**ON_CPU, "lmcache.enabled": False}],
    ids=str,
)
def test_the_tiny_model_is_made(settings: dict[str, Any]) -> None:
    assert prepared(settings) == (*TINY, DISCOVERY)


@pytest.mark.parametrize(
    ("adapters", "paths"),
    [
        ([fs("/kv")], ["/kv"]),
        ([fs("~/kv"), fs("kv")], ["/home/me/kv", "/there/kv"]),
        ([fs("${DYNKV_HOME}/_l2/agg")], ["/state/_l2/agg"]),
        ([fs("/kv"), fs("/kv/"), fs("/other")], ["/kv", "/other"]),
        ([{"type": "mooncake_store"}], []),
        ([{"type": "nixl_store", "backend": "OBJ", "pool_size": 1}], []),
        ([{"type": "nixl_store", "backend": "GDS", "pool_size": 1, "backend_params": {"file_path": "/kv"}}], ["/kv"]),
    ],
    ids=str,
)
def test_l2_has_its_directories(adapters: list[dict[str, Any]], paths: list[str]) -> None:
    assert prepared({"lmcache.l2": adapters}) == (*map(l2, paths), DISCOVERY)


def test_without_a_sidecar_l2_has_none() -> None:
    assert prepared({"lmcache.l2": [fs("/kv")], "lmcache.enabled": False}) == (DISCOVERY,)


def test_without_the_stack_only_discovery_is_prepared() -> None:
    own = {"units": [{"name": "own", "argv": ["x"]}]}
    assert prepared({"lmcache.l2": [fs("/kv")], "model.path": "tiny", "topology": "none", **own}) == (DISCOVERY,)


def test_the_mocker_without_lmcache_needs_no_l2() -> None:
    made = plan("agg", host(packages={"ai-dynamo": "1.6.1"}), {"engine": "mocker", "lmcache.l2": [fs("/kv")]})
    assert made.prepare == (DISCOVERY,)


def test_a_path_that_means_nothing_here_is_refused() -> None:
    with pytest.raises(PreflightRefused, match="no user nobody"):
        prepared({"lmcache.l2": [fs("~nobody/kv")]})


def test_the_steps_survive_the_journal_as_what_they_are() -> None:
    made = plan("agg", host(model=LOCAL_TINY), {**ON_CPU, "lmcache.l2": [fs("/kv")]})
    read = msgspec.json.decode(msgspec.json.encode(made), type=Plan)
    assert [type(step) for step in read.prepare] == [MakeDirectory, MakeDirectory, Run, MakeDirectory]
    assert read == made


def test_a_plan_from_before_there_were_steps_can_be_read() -> None:
    before = msgspec.to_builtins(plan("agg", host(1)))
    del before["prepare"]
    before["tiny_model"] = "/state/_models/tiny"
    assert msgspec.convert(before, Plan).prepare == ()


def test_in_words() -> None:
    assert [in_words(step) for step in (l2("/kv"), TINY[1])] == [
        "make /kv, mode 0700 (L2 of the sidecar)",
        f"run {PYTHON} {SCRIPTS}/tiny_model.py {HOME}/_models/tiny, unless {HOME}/_models/tiny/config.json is there "
        "(the tiny model)",
    ]
