"""The files of `observe`: as Prometheus reads them, for the right deployments, and as the code makes them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from composing import docker_compose, podman_compose
from hosts import host
from prometheus import promtool
from ruamel.yaml import YAML

from dynkv.cli.observe import _as_they_are
from dynkv.metrics.own import OWN_FAMILIES
from dynkv.metrics.whole import SCRAPE_FAMILIES
from dynkv.observe.documents import documents
from dynkv.observe.names import STACK_METRICS, SUPPORTED
from dynkv.observe.panels import DASHBOARDS
from dynkv.plan.build import build
from dynkv.plan.model import Plan
from dynkv.profile.load import Override, load

FILES = resources.files("dynkv.observe") / "files"
DASHBOARD_FILES = FILES / "dashboards"
_NAME = re.compile(r"\b(?:dynkv|dynamo|vllm:|lmcache)[a-z0-9_:]*")
_PART = re.compile(r"_(?:bucket|sum|count)$")


def plan(name: str, **keys: object) -> Plan:
    loaded = load("agg", [Override(tuple(key.split("__")), value, key) for key, value in keys.items()])
    return build(loaded.profile, host(1), name=name, profile_name="agg", home="/home/me")


def as_they_are(out: Path, *plans: Plan) -> None:
    for path, text in {**documents(plans), **_as_they_are(FILES)}.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text)


def test_prometheus_takes_what_is_written(tmp_path: Path) -> None:
    as_they_are(tmp_path, plan("one"), plan("two", metrics__port=9899, metrics__host="::1"))
    for words in (["check", "config", "prometheus.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run([promtool(), *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    written = YAML(typ="safe").load((tmp_path / "prometheus.yml").read_text())
    asked = [it["targets"] for it in written["scrape_configs"][0]["static_configs"]]
    assert asked == [["127.0.0.1:9810"], ["[::1]:9899"]]


def test_one_of_which_nothing_is_read_is_left_out() -> None:
    assert "9810" not in documents([plan("one", metrics__enabled=False)])["prometheus.yml"]


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = YAML(typ="safe").load((FILES / "rules.yml").read_text())["groups"]
    return found


def test_every_alert_has_a_test_that_sees_it_fire() -> None:
    tests = YAML(typ="safe").load((FILES / "rules_test.yml").read_text())["tests"]
    fired = {it["alertname"] for test in tests for it in test["alert_rule_test"] if it.get("exp_alerts")}
    assert {rule["alert"] for group in groups() for rule in group["rules"] if "alert" in rule} == fired


def test_the_compose_file_needs_what_is_written(tmp_path: Path) -> None:
    as_they_are(tmp_path, plan("one"))
    services = YAML(typ="safe").load((tmp_path / "compose.yaml").read_text())["services"]
    mounts = [it.split(":")[0] for service in services.values() for it in service["volumes"]]
    assert all((tmp_path / it).exists() for it in mounts if it.startswith("./"))
    assert all(re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"]) for service in services.values())


@pytest.mark.parametrize("read", [podman_compose, docker_compose])
def test_programs_for_compose_take_it(read: Callable[[Path], str], tmp_path: Path) -> None:
    as_they_are(tmp_path, plan("one"))
    services = YAML(typ="safe").load(read(tmp_path))["services"]
    assert {*services} == {"prometheus", "grafana"}
    assert all(service["network_mode"] == "host" for service in services.values())
    assert services["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda it: it.uid)
def test_the_dashboards_are_as_the_code_makes_them(dashboard: object) -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="requirements/dev.txt has it")
    from generate.dashboards import rendered

    wanted = next(it for it in DASHBOARDS if it is dashboard)
    assert rendered(wanted) == (DASHBOARD_FILES / f"{wanted.uid}.json").read_text(), "make dashboards"


def test_each_dashboard_fits_a_screen_without_a_gap() -> None:
    """A screen has 1080 lines: Grafana draws a unit of its grid in 38, and needs 200 for itself."""
    for dashboard in DASHBOARDS:
        written = json.loads((DASHBOARD_FILES / f"{dashboard.uid}.json").read_text())
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in written["panels"])
        assert bottom * 38 <= 880, dashboard.uid
        for row in dashboard.rows:
            assert sum(panel.width for panel in row.panels) == 24, row.title


def test_only_metrics_that_there_are_stand_in_queries() -> None:
    known = {*OWN_FAMILIES, *SCRAPE_FAMILIES, *STACK_METRICS}
    rules = [rule for group in groups() for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    queries = [query.expr for it in DASHBOARDS for row in it.rows for panel in row.panels for query in panel.queries]
    written = _NAME.findall("\n".join([*queries, *(rule["expr"] for rule in rules)]))
    asked = {name if name in known else _PART.sub("", name) for name in written} - {"dynkv"}  # the name of a job
    assert asked - known - recorded == set()
    assert {*STACK_METRICS} - asked == set(), "asked for by nobody"


def test_every_metric_of_the_stack_is_of_a_version_that_is_supported() -> None:
    for name, metric in STACK_METRICS.items():
        assert not metric.since or metric.since in SUPPORTED[metric.program], name
