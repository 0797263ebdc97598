"""Whole topologies with Dynamo's mocker as the engine: the real frontend, the real sidecar, cheap workers."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

import dynkv.instack as dynkv_scripts
from dynkv.children.lines import plain

from .asking import chat, chat_in_pieces, client, complete, prompt
from .census import environment, lives
from .harness import MOCKER, Dynkv, first_time, free_port, fresh_dynkv, pids, said, unit, wait_for

pytestmark = pytest.mark.stack

ALONE = (*MOCKER, "--no-lmcache")
"""Ready in 3 s; the sidecar alone takes 10."""

STATUS_FIELDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "profile": str,
    "state": str,
    "endpoint": str,
    "model": str,
    "started_at": str,
    "supervisor": dict,
    "units": list,
    "kv": dict,
}
UNIT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "role": str,
    "state": str,
    "pid": int,
    "gpus": list,
    "ports": dict,
    "restarts": int,
    "uptime_s": (int, float),
    "ready_after_s": (int, float),
    "probe": dict,
    "rss_bytes": int,
    "last_exit": type(None),
    "log": str,
}


# --- disagg with the sidecar: the contract of `status`, order ---


def test_disagg_from_up_to_down(dynkv: Dynkv) -> None:
    status = dynkv.up("disagg", *MOCKER)
    _keeps_the_contract(status, dynkv)
    _listens_on_loopback_only(status)
    assert {one["name"]: one["role"] for one in status["units"]} == {
        "lmcache": "lmcache",
        "frontend": "frontend",
        "decode-0": "decode",
        "prefill-0": "prefill",
    }

    reply = complete(dynkv.endpoint, "tiny", prompt(40, seed=1), max_tokens=4)
    assert reply.text
    assert reply.workers["prefill_worker_id"] != reply.workers["decode_worker_id"]
    assert chat(dynkv.endpoint, "tiny", "Hello")
    assert len(chat_in_pieces(dynkv.endpoint, "tiny", "Hello", max_tokens=5)) > 1

    dynkv.do("down", "disagg")
    assert dynkv.left_behind() == []
    _came_up_in_order(dynkv)
    _went_down_in_order(dynkv)


def _keeps_the_contract(status: dict[str, Any], dynkv: Dynkv) -> None:
    _has_fields(status, STATUS_FIELDS)
    assert (status["name"], status["profile"], status["state"]) == ("disagg", "disagg", "ready")
    assert (status["endpoint"], status["model"]) == (dynkv.endpoint, "tiny")
    _has_fields(status["supervisor"], {"pid": int, "version": str, "uptime_s": (int, float)})
    assert datetime.fromisoformat(status["started_at"]).tzinfo is not None
    for one in status["units"]:
        _has_fields(one, UNIT_FIELDS)
        _has_fields(one["probe"], {"ok": bool, "latency_s": (int, float), "detail": str})
        assert (one["state"], one["restarts"], one["probe"]["ok"]) == ("ready", 0, True), one
        assert Path(one["log"]) == dynkv.home / "disagg" / "logs" / f"{one['name']}.log"
        assert psutil.Process(one["pid"]).is_running()
        assert one["rss_bytes"] > 10_000_000
    ports = {one["role"]: set(one["ports"]) for one in status["units"]}
    assert ports["lmcache"] == {"zmq", "http"}
    assert ports["frontend"] == {"http"}
    assert "system" in ports["decode"] & ports["prefill"]
    assert unit(status, "frontend")["ports"]["http"] == dynkv.port


def _has_fields(given: dict[str, Any], fields: dict[str, type | tuple[type, ...]]) -> None:
    for name, kind in fields.items():
        assert name in given, f"{name} is missing from {given}"
        assert isinstance(given[name], kind), f"{name} is {given[name]!r}"


def _listens_on_loopback_only(status: dict[str, Any]) -> None:
    planned = {port for one in status["units"] for port in one["ports"].values()}
    listening = {
        connection.laddr.port: connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port in planned
    }
    assert set(listening) == planned
    assert set(listening.values()) <= {"127.0.0.1", "::1"}, listening


def _came_up_in_order(dynkv: Dynkv) -> None:
    events = dynkv.events("disagg")
    decode_starts, prefill_starts = (first_time(events, name, "starting") for name in ("decode-0", "prefill-0"))
    assert first_time(events, "lmcache", "ready") <= decode_starts
    assert first_time(events, "frontend", "starting") < decode_starts
    assert first_time(events, "decode-0", "ready") <= prefill_starts
    answered = next(event for event in events if "answers requests" in event["message"])
    assert first_time(events, "prefill-0", "ready") <= datetime.fromisoformat(answered["at"])


def _went_down_in_order(dynkv: Dynkv) -> None:
    events = dynkv.events("disagg")
    rest = ["prefill-0", "decode-0", "lmcache"]
    drained = first_time(events, "frontend", "stopped")
    assert all(drained <= first_time(events, name, "stopping") for name in rest)
    began, ended = ([first_time(events, name, state) for name in rest] for state in ("stopping", "stopped"))
    assert max(began) <= min(ended), "they end side by side"


# --- agg-router: one deployment for all that leave it ready ---


@pytest.fixture(scope="module")
def router(module_dynkv: Dynkv) -> Iterator[Dynkv]:
    """Two workers behind the KV router. A test that changes something waits until all is ready again."""
    module_dynkv.up("agg-router", *ALONE)
    yield module_dynkv
    assert module_dynkv.status()["state"] == "ready"


def test_both_workers_of_the_router_answer(router: Dynkv) -> None:
    workers: set[int] = set()
    for seed in range(40):  # prompts without common blocks go to the less loaded worker
        reply = complete(router.endpoint, "tiny", prompt(200, seed), max_tokens=2)
        workers |= set(reply.workers.values())
        if len(workers) == 2:
            break
    assert len(workers) == 2
    with client(router.endpoint) as openai_client:
        assert [model.id for model in openai_client.models.list()] == ["tiny"]


def test_a_second_up_of_the_same_name_changes_nothing(router: Dynkv) -> None:
    before = router.status()
    result = router.run(*router.up_words("agg-router", *ALONE))
    assert result.returncode == 0, said(result)
    assert "nothing to change" in result.stdout
    after = router.status()
    assert pids(after) == pids(before)
    assert after["supervisor"]["pid"] == before["supervisor"]["pid"]
    assert chat(router.endpoint, "tiny", "Hello")


def test_a_second_up_on_the_same_frontend_port_is_refused(router: Dynkv) -> None:
    result = router.run(*router.up_words("agg", *ALONE))
    assert result.returncode == 4, said(result)
    assert f"port {router.port} (frontend.port) is taken" in result.stderr
    assert "frontend" in result.stderr


def test_a_killed_worker_comes_back_and_nothing_else_moves(router: Dynkv) -> None:
    before = router.status()
    os.kill(unit(before, "worker-0")["pid"], signal.SIGKILL)
    after = router.wait_for_restart("worker-0", before)
    worker = unit(after, "worker-0")
    assert worker["restarts"] == unit(before, "worker-0")["restarts"] + 1
    assert worker["last_exit"]["signal"] == signal.SIGKILL
    assert worker["last_exit"]["code"] is None
    assert "SIGKILL" in worker["last_exit"]["reason"]
    changed = {name for name, pid in pids(after).items() if pid != pids(before)[name]}
    assert changed == {"worker-0"}
    assert complete(router.endpoint, "tiny", "the of and", max_tokens=3).text


def test_stop_start_and_restart_of_a_unit(router: Dynkv) -> None:
    before = router.status()
    router.do("stop", "worker-1")
    stopped = router.wait_until(lambda s: unit(s, "worker-1")["state"] == "stopped", "agg-router")
    assert stopped["state"] == "degraded"
    assert unit(stopped, "worker-1")["pid"] is None
    assert chat(router.endpoint, "tiny", "Hello"), "the other worker answers"

    router.do("start", "worker-1")
    started = router.wait_until(lambda s: s["state"] == "ready", "agg-router")
    assert unit(started, "worker-1")["pid"] != unit(before, "worker-1")["pid"]

    router.do("restart", "worker-1")
    restarted = router.wait_for_restart("worker-1", started)
    assert unit(restarted, "worker-1")["pid"] != unit(started, "worker-1")["pid"]
    assert unit(restarted, "worker-0")["pid"] == unit(before, "worker-0")["pid"]


def test_fewer_workers_and_as_many_again(router: Dynkv) -> None:
    router.do("scale", "worker=1", "--wait")
    status = router.status()
    assert [(unit(status, name)["state"], unit(status, name)["wanted"]) for name in ("worker-0", "worker-1")] == [
        ("ready", True),
        ("stopped", False),
    ]
    assert status["state"] == "ready"
    answers = {str(complete(router.endpoint, "tiny", prompt(20, seed=seed)).workers) for seed in range(8)}
    assert len(answers) == 1, "nothing is routed to the one that is gone"
    router.do("scale", "worker=2", "--wait")
    assert unit(router.status(), "worker-1")["state"] == "ready"
    for size, why in (("worker=3", "1 to 2"), ("worker=0", "1 to 2"), ("decode=1", "decode"), ("worker", "ROLE=N")):
        result = router.run("scale", size)
        assert result.returncode == 2, said(result)
        assert why in result.stderr


def test_verbs_about_units_that_are_not_there(router: Dynkv) -> None:
    for words in (("restart", "worker-7"), ("logs", "worker-7")):
        result = router.run(*words)
        assert result.returncode in (1, 2), said(result)
        assert "worker-7" in result.stderr


def test_logs_shows_what_the_units_wrote(router: Dynkv) -> None:
    one = router.do("logs", "frontend", "-n", "3").stdout.splitlines()
    assert 0 < len(one) <= 3
    assert one[-1] in plain(router.log("agg-router", "frontend"))
    several = router.do("logs", "frontend", "worker-0", "-n", "2").stdout.splitlines()
    assert {line.split("|")[0].strip() for line in several} == {"frontend", "worker-0"}


def test_events_are_one_object_a_line(router: Dynkv) -> None:
    lines = router.do("events", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events == router.events("agg-router")[: len(events)]
    for event in events:
        assert datetime.fromisoformat(event["at"]).tzinfo is not None
    assert "worker-0" in router.do("events").stdout


def test_the_control_socket_is_its_owners(router: Dynkv) -> None:
    directory = router.home / "agg-router"
    assert stat.S_IMODE((directory / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert router.control("/healthz", "agg-router") == b"ok\n"
    assert b'dynkv_unit_state{deployment="agg-router",unit="worker-0"' in router.control("/metrics", "agg-router")


# --- a deployment for one test each ---


def test_environment_is_built_and_secrets_stay_where_they_are_needed(dynkv: Dynkv, tmp_path: Path) -> None:
    token, key = "hf_verysecrettoken", "verysecretkey"
    profile = tmp_path / "mine.yaml"
    alone = "{args: [--max-num-seqs, 4], env: {OF_ONE: x}}"
    profile.write_text(
        f"extends: agg\nenv: {{OTHER_API_KEY: {key}, PLAIN: plainvalue}}\n"
        f"workers: {{replicas: 2, each: {{worker-1: {alone}}}}}\n"
    )
    surroundings = {"HF_TOKEN": token, "UNRELATED": "x", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    result = dynkv.run(*dynkv.up_words(str(profile), *ALONE), env=surroundings)
    assert result.returncode == 0, said(result)

    status = dynkv.status()
    worker, frontend = (environment(unit(status, name)["pid"]) for name in ("worker-0", "frontend"))
    assert worker["HF_TOKEN"] == token
    assert worker["OTHER_API_KEY"] == key
    for env in (worker, frontend):
        assert env["PLAIN"] == "plainvalue"
        assert not {"UNRELATED", "PROMETHEUS_MULTIPROC_DIR"} & set(env)

    alone_at = {
        one["name"]: (
            "OF_ONE" in environment(one["pid"]),
            "--max-num-seqs" in _command_line(psutil.Process(one["pid"])),
        )
        for one in status["units"]
    }
    assert alone_at == {"frontend": (False, False), "worker-0": (False, False), "worker-1": (True, True)}

    for words in (("status", "--json"), ("events", "--json"), ("logs",), ("status",)):
        assert not _secrets_in(dynkv.do(*words).stdout, token, key), words
    assert not _secrets_in(result.stdout + result.stderr, token, key)
    for process in psutil.process_iter():
        assert not _secrets_in(_command_line(process), token, key)
    dynkv.do("down")
    for path in dynkv.home.rglob("*"):
        if path.is_file():
            assert not _secrets_in(path.read_text(errors="replace"), token, key), path


def _secrets_in(text: str, *secrets: str) -> list[str]:
    return [secret for secret in secrets if secret in text]


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_two_deployments_side_by_side(dynkv: Dynkv) -> None:
    one = dynkv.up("agg", *ALONE, "--name", "one")["units"]
    first_port, dynkv.port = dynkv.port, free_port()
    dynkv.do(*dynkv.up_words("agg", *ALONE, "--name", "two"), timeout_s=90)
    two = dynkv.status("two")["units"]
    assert not {port for u in one for port in u["ports"].values()} & {port for u in two for port in u["ports"].values()}
    for port in (first_port, dynkv.port):
        assert chat(f"http://127.0.0.1:{port}", "tiny", "Hello")

    unclear = dynkv.run("down")
    assert unclear.returncode == 2, said(unclear)
    assert "one, two" in unclear.stderr
    dynkv.do("down", "one")
    assert dynkv.status("two")["state"] == "ready"
    assert chat(dynkv.endpoint, "tiny", "Hello")
    assert dynkv.status()["name"] == "two", "the only one that runs needs no name"


def test_a_directory_with_a_space_in_its_name_is_served(dynkv: Dynkv) -> None:
    script = Path(dynkv_scripts.__path__[0]) / "tiny_model.py"
    subprocess.run([sys.executable, script, dynkv.home / "My Model"], check=True, capture_output=True)
    model = ("--model", "./My Model", "--engine", "mocker", "--no-lmcache")
    result = dynkv.run(*dynkv.up_words("agg", *model), cwd=dynkv.home)
    assert result.returncode == 0, said(result)
    assert "model My-Model" in result.stdout
    assert chat(dynkv.endpoint, "My-Model", "Hello")


def test_down_works_from_anywhere_and_twice(dynkv: Dynkv) -> None:
    dynkv.up("agg", *ALONE)
    first = dynkv.run("down", cwd=Path("/"))
    assert first.returncode == 0, said(first)
    assert dynkv.left_behind() == []
    second = dynkv.run("down", cwd=Path("/"))
    assert second.returncode == 0, said(second)
    assert "already down" in second.stdout
    assert dynkv.run("status").returncode == 3
    assert dynkv.run("down", "other").returncode == 3


def test_down_without_a_supervisor(dynkv: Dynkv) -> None:
    status = dynkv.up("agg", *ALONE)
    _kill_supervisor(status)
    assert chat(dynkv.endpoint, "tiny", "Hello"), "the supervisor may die; serving may not"
    orphaned = dynkv.status()
    assert (orphaned["state"], orphaned["supervisor"]) == ("degraded", None)
    assert pids(orphaned) == pids(status)
    dynkv.do("down")
    assert dynkv.left_behind() == []
    assert dynkv.run("status").returncode == 3


def test_up_takes_over_what_a_dead_supervisor_left(dynkv: Dynkv) -> None:
    before = dynkv.up("agg", *ALONE)
    _kill_supervisor(before)
    after = dynkv.up("agg", *ALONE)
    assert after["state"] == "ready"
    assert pids(after) == pids(before)
    assert after["supervisor"]["pid"] != before["supervisor"]["pid"]
    assert [unit["restarts"] for unit in after["units"]] == [0, 0]


def test_another_terminal_and_other_rules_for_the_supervisor_restart_nobody(
    dynkv: Dynkv, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dynkv.up("agg", *ALONE)
    _kill_supervisor(before)
    for name, value in (("TERM", "vt100"), ("LC_ALL", "C"), ("PATH", f"/nowhere:{os.environ['PATH']}")):
        monkeypatch.setenv(name, value)
    after = dynkv.up("agg", *ALONE, "--set", "restart.max_restarts=9", "--set", "logs.keep=1")
    assert pids(after) == pids(before)


def test_up_of_another_plan_ends_what_a_dead_supervisor_left(dynkv: Dynkv) -> None:
    before = dynkv.up("agg", *ALONE)
    _kill_supervisor(before)
    after = dynkv.up("agg", *ALONE, "--set", "env.ANOTHER=plan")
    assert after["state"] == "ready"
    assert not set(pids(after).values()) & set(pids(before).values())
    assert not any(runs(pid) for pid in pids(before).values())


@pytest.mark.parametrize(("verb", "harm"), [("down", "damaged"), ("up", "damaged"), ("down", "removed")])
def test_a_lost_journal_hides_nobody(dynkv: Dynkv, verb: str, harm: str) -> None:
    before = dynkv.up("agg", *ALONE)
    _kill_supervisor(before)
    journal = dynkv.home / "agg" / "journal.json"
    if harm == "removed":
        journal.unlink()
    else:
        journal.write_text('{"version": 1, "children"')
    lost = dynkv.run("status")
    assert lost.returncode == 1, said(lost)
    assert "dynkv down agg" in lost.stderr
    if verb == "up":
        refused = dynkv.run(*dynkv.up_words("agg", *ALONE))
        assert refused.returncode == 4, said(refused)
        assert all(runs(pid) and f"pid {pid} (" in refused.stderr for pid in pids(before).values())
        assert dynkv.up("agg", *ALONE, "--replace")["state"] == "ready"
    dynkv.do(*(["down"] if verb == "up" else ["down", "agg"]))
    assert not any(runs(pid) for pid in pids(before).values())
    assert dynkv.left_behind() == []


def test_a_supervisor_that_is_stopped_is_told_of_and_no_obstacle(dynkv: Dynkv) -> None:
    before = dynkv.up("agg", *ALONE)
    supervisor = psutil.Process(before["supervisor"]["pid"])
    supervisor.suspend()
    seen = dynkv.status()
    assert (seen["state"], seen["supervisor"], pids(seen)) == ("degraded", None, pids(before))
    assert f"kill -CONT {supervisor.pid}" in seen["detail"]
    dynkv.do("down")
    assert not lives(supervisor)
    assert dynkv.left_behind() == []


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and lives(psutil.Process(pid))


def _kill_supervisor(status: dict[str, Any]) -> None:
    supervisor = psutil.Process(status["supervisor"]["pid"])
    supervisor.kill()
    supervisor.wait(10)


def _answers(dynkv: Dynkv) -> bool:
    try:
        return bool(chat(dynkv.endpoint, "tiny", "Hello"))
    except openai.APIStatusError:
        return False


def test_another_home_has_other_ports_also_while_a_unit_is_down(dynkv: Dynkv) -> None:
    dynkv.up("agg", *ALONE)
    dynkv.do("stop", "worker-0")
    dynkv.wait_until(lambda s: unit(s, "worker-0")["pid"] is None, "agg")
    with fresh_dynkv() as other:
        planned = json.loads(other.do("plan", *other.up_words("agg", *ALONE)[1:], "--json").stdout)
    own = {port for one in dynkv.status()["units"] for port in one["ports"].values()}
    assert own.isdisjoint(port for one in planned["units"] for port in one["ports"].values())


def test_ctrl_c_while_up_waits(dynkv: Dynkv) -> None:
    with dynkv.started(*dynkv.up_words("agg", *MOCKER)) as up:  # the sidecar's start leaves time for it
        _await_socket(dynkv, "agg")
        dynkv.wait_until(lambda s: unit(s, "lmcache")["pid"] is not None, "agg")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 130, dynkv.background_output()
    assert dynkv.left_behind() == []
    assert dynkv.run("status").returncode == 3


def test_up_gives_up_after_its_timeout(dynkv: Dynkv) -> None:
    result = dynkv.run(*dynkv.up_words("agg", *MOCKER, "--timeout", "1"))  # the sidecar takes longer
    assert result.returncode == 5, said(result)
    assert "not ready after 1 s" in result.stderr
    assert dynkv.left_behind() == []
    assert dynkv.run("status").returncode == 3


def test_a_worker_that_slept_is_found_again(dynkv: Dynkv) -> None:
    """As on a host that was suspended or too busy: the frontend forgets a worker without a sign of life for 10 s."""
    before = dynkv.up("agg", *ALONE, "--set", "probes.worker.liveness.period_seconds=60")
    worker = psutil.Process(unit(before, "worker-0")["pid"])
    instances = dynkv.home / "agg" / "discovery" / "v1" / "instances"
    worker.suspend()
    wait_for(lambda: not any(instances.iterdir()), "the frontend forgot the worker")
    worker.resume()
    wait_for(lambda: any(instances.iterdir()), "the worker is found again")
    wait_for(lambda: _answers(dynkv), "the frontend knows it again")
    after = dynkv.wait_until(lambda s: s["state"] == "ready", "agg")
    assert pids(after) == pids(before)
    assert any("entries again" in event["message"] for event in dynkv.events("agg"))


def test_up_without_waiting(dynkv: Dynkv) -> None:
    later = ("--set", 'model.args=["--startup-time", "5"]')  # longer than the two looks below take, even on a busy host
    dynkv.do(*dynkv.up_words("agg", *ALONE, *later, "--no-wait"))
    assert dynkv.wait_until(lambda s: True, "agg")["state"] == "starting"
    early = dynkv.run("wait", "agg", "--timeout", "0")
    assert early.returncode == 5, said(early)
    assert "was not ready after 0 s" in early.stderr
    dynkv.do("wait", "--for", "ready", "--timeout", "60")
    status = dynkv.status()
    assert [one["name"] for one in status["units"]] == ["frontend", "worker-0"]
    assert chat(dynkv.endpoint, "tiny", "Hello")
    dynkv.do("down")
    dynkv.do("wait", "--for", "down")
    assert dynkv.run("wait").returncode == 3


def test_a_unit_that_dies_during_start_ends_up_at_once(dynkv: Dynkv) -> None:
    began = time.monotonic()
    result = dynkv.run(*dynkv.up_words("agg", *ALONE, "--set", 'model.args=["--no-such-flag"]'))
    assert result.returncode == 1, said(result)
    assert time.monotonic() - began < 20
    assert "worker-0 died during start" in result.stderr
    assert "exited with code 2" in result.stderr
    last_line = dynkv.log("agg", "worker-0").splitlines()[-1]
    assert "unrecognized arguments: --no-such-flag" in last_line
    assert last_line in result.stderr.splitlines()
    assert dynkv.left_behind() == []
    assert dynkv.run("status").returncode == 3


def test_in_the_foreground(dynkv: Dynkv) -> None:
    with dynkv.started(*dynkv.up_words("agg", *ALONE, "--foreground")) as up:
        _await_socket(dynkv, "agg")
        status = dynkv.wait_until(lambda s: s["state"] == "ready", "agg")
        assert status["supervisor"]["pid"] == up.pid
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0, dynkv.background_output()
    assert "agg answers requests" in dynkv.background_output()
    assert "agg is down" in dynkv.background_output()
    assert dynkv.left_behind() == []


def _await_socket(dynkv: Dynkv, name: str) -> None:
    deadline = time.monotonic() + 30
    while not (dynkv.home / name / "control.sock").exists():
        assert time.monotonic() < deadline, dynkv.background_output()
        time.sleep(0.02)


def test_a_unit_that_keeps_dying_has_failed_until_it_is_started_again(dynkv: Dynkv) -> None:
    quick = ("--set", "restart.max_restarts=1", "--set", "restart.backoff_initial_s=0.1")
    first = dynkv.up("agg", *ALONE, *quick)
    os.kill(unit(first, "worker-0")["pid"], signal.SIGKILL)
    second = dynkv.wait_for_restart("worker-0", first)
    os.kill(unit(second, "worker-0")["pid"], signal.SIGKILL)
    failed = dynkv.wait_until(lambda s: unit(s, "worker-0")["state"] == "failed", "agg")
    assert failed["state"] == "degraded"
    assert unit(failed, "worker-0")["pid"] is None
    assert unit(failed, "worker-0")["restarts"] == 1

    dynkv.do("start", "worker-0")
    again = dynkv.wait_until(lambda s: s["state"] == "ready", "agg")
    assert unit(again, "worker-0")["pid"] not in (unit(first, "worker-0")["pid"], unit(second, "worker-0")["pid"])
    assert chat(dynkv.endpoint, "tiny", "Hello")
