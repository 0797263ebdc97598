"""Custom units, with and without the stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import HOME, host

from dynkv.errors import DynkvError, ProfileError, UsageError
from dynkv.plan.build import build
from dynkv.plan.difference import Action, difference
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Condition, Dependency, Plan, Role
from dynkv.plan.order import start_stages, stop_stages
from dynkv.plan.steps import MakeDirectory
from dynkv.profile.load import load

ALONE = "topology: none\n"
TWO = """
units:
  - name: web
    argv: [python3, -m, http.server, "9000"]
    env: {ONE: 1}
    ports: {http: 9000}
    probes: {http_get: {port: http, path: /ready}, period_seconds: 2}
    stop_timeout_s: 3
  - name: proxy
    argv: [proxy]
    depends_on: [web]
"""


def planned(tmp_path: Path, text: str, facts: HostFacts | None = None) -> Plan:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return build(load(str(path)).profile, facts or host(), name="mine", profile_name="mine", home=HOME)


def test_alone_they_are_all_there_is(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALONE + TWO)
    assert [(unit.name, unit.role) for unit in plan.units] == [("web", Role.UNIT), ("proxy", Role.UNIT)]
    assert (plan.frontend, plan.endpoint, plan.model) == (None, "", "")
    assert plan.standbys == ()


def test_alone_they_find_each_other_where_they_are_parts_of_dynamo(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALONE + TWO)
    assert plan.discovery_dir == f"{HOME}/mine/discovery"
    assert plan.prepare == (MakeDirectory(plan.discovery_dir, 0o700, "Dynamo's discovery"),)
    env = plan.unit("web").env
    assert env["DYN_FILE_KV"] == plan.discovery_dir
    planes = ("DYN_DISCOVERY_BACKEND", "DYN_REQUEST_PLANE", "DYN_EVENT_PLANE", "DYN_TCP_RPC_HOST")
    assert [env[name] for name in planes] == ["file", "tcp", "zmq", "127.0.0.1"]
    assert not {"ETCD_ENDPOINTS", "DYN_NAMESPACE"} & env.keys()


def test_a_unit_is_as_it_was_written(tmp_path: Path) -> None:
    web = planned(tmp_path, ALONE + TWO).unit("web")
    assert web.argv == ("python3", "-m", "http.server", "9000")
    assert (web.env["ONE"], web.ports, web.stop_timeout_s) == ("1", {"http": 9000}, 3)
    (check,) = web.probes.readiness.checks
    assert (check.port, check.path, check.host) == (9000, "/ready", "127.0.0.1")
    assert web.probes.readiness.period_seconds == 2
    assert web.probes.startup.period_seconds * web.probes.startup.failure_threshold == pytest.approx(60)
    assert web.probes.liveness is not None


def test_without_probes_it_is_never_asked(tmp_path: Path) -> None:
    proxy = planned(tmp_path, ALONE + TWO).unit("proxy")
    assert (proxy.probes.startup.checks, proxy.probes.readiness.checks, proxy.probes.liveness) == ((), (), None)
    assert proxy.depends_on == (Dependency("web", Condition.READY),)


def test_beside_the_stack_they_stop_first_and_in_reverse(tmp_path: Path) -> None:
    text = TWO.replace("depends_on: [web]", "depends_on: [web, frontend]")
    plan = planned(tmp_path, f"extends: agg\n{text}", host(1))
    assert [unit.name for unit in plan.units] == ["lmcache", "frontend", "worker-0", "web", "proxy"]
    assert stop_stages(plan.units) == [["proxy"], ["web"], ["frontend"], ["worker-0", "lmcache"]]
    assert "web" in start_stages(plan.units)[0]


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ("[{name: a, argv: [x]}, {name: a, argv: [x]}]", "the name 'a' is taken"),
        ("[{name: standby, argv: [x]}]", "the name 'standby' is taken"),
        ("[{name: a, argv: [x], depends_on: [b]}]", "a depends on 'b'"),
        ("[{name: a, argv: [x], depends_on: [b]}, {name: b, argv: [x], depends_on: [a]}]", "circular dependencies"),
        ("[{name: a, argv: [x], depends_on: [a]}]", "circular dependencies"),
        ("[{name: a, argv: [x]}, {name: b, argv: [x], depends_on: {a: {condition: completed}}}]", "never happens"),
        (
            "[{name: a, kind: job, argv: [x]}, {name: b, argv: [x], depends_on: {a: {condition: ready}}}]",
            "b waits for a to be ready, which never happens",
        ),
        ("[{name: a, argv: [x], before: [frontend]}]", "a is before 'frontend'"),
        ("[{name: a, argv: [x], before: [b]}, {name: b, argv: [x], before: [a]}]", "circular dependencies"),
    ],
)
def test_what_cannot_be(tmp_path: Path, units: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(tmp_path, f"{ALONE}units: {units}\n")
    assert words in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        ALONE,
        f"{ALONE}units: []\n",
        f"{ALONE}units: [{{name: a, argv: []}}]\n",
        f"{ALONE}units: [{{name: a, argv: ['']}}]\n",
        f"{ALONE}units: [{{name: ../a, argv: [x]}}]\n",
        f"{ALONE}units: [{{name: a, argv: [x], probes: {{http_get: {{port: nope}}}}}}]\n",
        f"{ALONE}units: [{{name: a, argv: [x], ports: {{http: 70000}}}}]\n",
    ],
)
def test_mistakes_are_found_in_the_profile(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProfileError):
        planned(tmp_path, text)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with pytest.raises(DynkvError) as caught:
        planned(tmp_path, ALONE + TWO, host(taken_ports={9000: "pid 1 (nginx)"}))
    assert "9000" in caught.value.what
    assert "nginx" in f"{caught.value.what} {caught.value.where} {caught.value.hint} {caught.value.detail}"


# --- jobs, and how far another unit has to be ---

JOBS = """
units:
  - {name: migrate, kind: job, argv: [migrate]}
  - {name: web, argv: [web], depends_on: [migrate]}
  - name: proxy
    argv: [proxy]
    depends_on: {migrate: {condition: started}, web: {condition: ready}}
"""


def test_a_name_alone_waits_for_a_job_to_be_completed_and_for_a_service_to_be_ready(tmp_path: Path) -> None:
    plan = planned(tmp_path, ALONE + JOBS)
    assert [unit.role for unit in plan.units] == [Role.JOB, Role.UNIT, Role.UNIT]
    assert plan.unit("web").depends_on == (Dependency("migrate", Condition.COMPLETED),)
    assert plan.unit("proxy").depends_on == (
        Dependency("migrate", Condition.STARTED),
        Dependency("web", Condition.READY),
    )


def test_the_stack_may_wait_for_a_unit_by_its_own_name_or_its_role(tmp_path: Path) -> None:
    fetch = "units: [{name: fetch, kind: job, argv: [fetch], before: [worker, lmcache]}]\n"
    plan = planned(tmp_path, f"extends: agg\n{fetch}", host(2))
    waiting = [unit.name for unit in plan.units if Dependency("fetch", Condition.COMPLETED) in unit.depends_on]
    assert waiting == ["lmcache", "worker-0", "worker-1"]
    assert Dependency("frontend", Condition.STARTED) in plan.unit("worker-0").depends_on
    assert stop_stages(plan.units)[0] == ["fetch"]


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("kind: job, probes: {http_get: {port: 80}}", "a job is completed when it has exited with 0"),
        ("depends_on: {b: {condition: service_healthy}}", "should be 'started', 'ready' or 'completed', not the text"),
        ("depends_on: {b: {when: ready}}", "unknown key 'when' in units.0.depends_on.b"),
        ("depends_on: b", "units.0.depends_on should be a valid array, not the text 'b'"),
        ("kind: once", "units.0.kind should be 'service' or 'job', not the text 'once'"),
    ],
)
def test_a_mistake_about_a_job_is_one_mistake(tmp_path: Path, unit: str, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        planned(tmp_path, f"{ALONE}units: [{{name: a, argv: [x], {unit}}}]\n")
    assert words in caught.value.what


def test_what_of_a_job_has_changed_is_told(tmp_path: Path) -> None:
    before = planned(tmp_path, ALONE + JOBS)
    after = planned(tmp_path, ALONE + JOBS.replace("kind: job, ", ""))
    changes = {change.name: change for change in difference(before, after, is_same_version=True).units}
    assert (changes["migrate"].action, changes["migrate"].reasons) == (Action.KEEP, ("kind",))
