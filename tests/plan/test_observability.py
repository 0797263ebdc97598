"""Where traces go, and how logs are written: the settings of each program."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import host, option, plan

OTLP = "http://127.0.0.1:4317"
TRACED = {"observability.otlp": OTLP}


def test_without_it_nothing_is_told() -> None:
    for unit in plan("disagg", host(2)).units:
        assert not [name for name in unit.env if name.startswith("OTEL_")]
        assert "--instance-id" not in unit.argv


@pytest.mark.parametrize("settings", [{}, {"engine": "mocker"}])
def test_each_unit_has_a_name_of_its_own(settings: dict[str, Any]) -> None:
    units = plan("disagg", host(2), {**TRACED, **settings}).units
    names = [unit.env["OTEL_SERVICE_NAME"] for unit in units]
    assert names == [f"disagg-{unit.name}" for unit in units]
    assert {unit.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] for unit in units} == {OTLP}


def test_a_name_in_the_profile_has_the_last_word() -> None:
    of_all = plan("agg", host(1), {**TRACED, "env.OTEL_SERVICE_NAME": "mine"})
    assert {unit.env["OTEL_SERVICE_NAME"] for unit in of_all.units} == {"mine"}
    of_role = plan("agg", host(1), {**TRACED, "frontend.env": {"OTEL_SERVICE_NAME": "front"}})
    assert of_role.unit("frontend").env["OTEL_SERVICE_NAME"] == "front"


def test_vllm_and_the_sidecar_are_told_by_options() -> None:
    made = plan("agg", host(1), TRACED)
    assert option(made.unit("worker-0").argv, "--otlp-traces-endpoint") == OTLP
    sidecar = made.unit("lmcache").argv
    assert option(sidecar, "--otlp-endpoint") == OTLP
    assert option(sidecar, "--instance-id") == "agg-lmcache"


def test_a_collector_of_the_persons_own_is_not_told_twice() -> None:
    own = {**TRACED, "model.args": ["--otlp-traces-endpoint", "http://other:4317"]}
    argv = plan("agg", host(1), own).unit("worker-0").argv
    assert argv.count("--otlp-traces-endpoint") == 1


def test_dynamo_is_not_imported_ahead_since_no_fork_would_have_its_exporter() -> None:
    (standby,) = plan("agg", host(1), TRACED).standbys
    assert not [module for module in standby.modules if module.startswith("dynamo")]
    assert plan("agg", host(), {**TRACED, "engine": "mocker"}).standbys == ()


def test_logs_as_json_are_a_variable_of_all() -> None:
    assert {unit.env["DYN_LOGGING_JSONL"] for unit in plan("agg", host(1), {"observability.logs": "json"}).units} == {
        "true"
    }
