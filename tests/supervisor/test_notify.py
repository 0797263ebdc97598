"""Hooks as real programs and a real server, under a real supervisor: what they receive, and what they cannot do."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from daemons import daemon, status_once
from lab import Lab
from msgspec.structs import replace
from processes import is_alive, until

from dynkv.plan.hook import Hook
from dynkv.plan.model import Plan, RestartPolicy
from dynkv.supervisor.events import Event, decoded
from dynkv.supervisor.journal import read_journal

SAYS = """
import json, os, sys
print(json.dumps([json.load(sys.stdin), dict(os.environ), os.listdir("/proc/self/fd")]))
"""
ADDRESS = "DYNKV_WEBHOOK_TEST"
SECRET = "T0/B0/not-for-everybody"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def hook(*argv: str, **more: Any) -> Hook:
    env = {"PATH": os.environ["PATH"]}
    return replace(Hook("told", ("degraded", "failed", "recovered"), env, argv, interval_s=0.0, retries=0), **more)


def plan_of(lab: Lab, *hooks: Hook, restart: RestartPolicy | None = None) -> Plan:
    unit = lab.unit("unit-0")
    return replace(lab.plan(replace(unit, restart=restart) if restart else unit), hooks=hooks)


def events(lab: Lab) -> list[Event]:
    lines = lab.place.events.read_text().splitlines()
    return [event for line in lines if (event := decoded(line)) and event.kind == "notify"]


def await_events(lab: Lab, count: int) -> list[Event]:
    return until(lambda: events(lab) if len(events(lab)) >= count else [], 30)


@contextmanager
def serving(lab: Lab, plan: Plan, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor whose deployment is ready; taken down at the end."""
    with daemon(lab, plan, env=env) as (process, _):
        try:
            status_once(lab)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def break_and_mend(lab: Lab) -> None:
    """Make its unit unready and ready again, each for long enough to be noticed."""
    lab.set_sick("unit-0", True)
    status_once(lab, "degraded")
    until(lambda: events(lab), 30)
    lab.set_sick("unit-0", False)
    status_once(lab)


def printed(lab: Lab) -> list[Any]:
    return [json.loads(line) for line in (lab.place.logs / "notify.log").read_text().splitlines()]


def test_a_command_is_given_what_has_happened_and_nothing_of_the_supervisors(lab: Lab) -> None:
    with serving(lab, plan_of(lab, hook(sys.executable, "-c", SAYS)), env={"OF_THE_SUPERVISOR": "yes"}):
        break_and_mend(lab)
        assert [event.data["ok"] for event in await_events(lab, 2)] == [True, True]
    (first, env, descriptors), (second, *_) = printed(lab)
    assert (first["event"], second["event"]) == ("degraded", "recovered")
    assert first["state"] == "degraded"
    assert [unit["name"] for unit in first["units"]] == ["unit-0"]
    assert env["DYNKV_EVENT"] == "degraded"
    assert env["DYNKV_UNITS"] == "unit-0"
    assert env["DYNKV_DEPLOYMENT"] == "lab"
    assert "OF_THE_SUPERVISOR" not in env
    assert len(descriptors) == 4  # the three streams, and the one that lists them


def test_a_hook_that_hangs_is_ended_with_all_its_processes_and_told_of(lab: Lab) -> None:
    script = f"sleep 1000 & echo $! > {lab.directory}/pid; setsid sleep 1000 & echo still here; wait"
    with serving(lab, plan_of(lab, hook("sh", "-c", script, timeout_s=0.5))):
        break_and_mend(lab)
        event = await_events(lab, 1)[0]
        assert "had not ended after 0.5 s, and was killed" in event.message
        assert event.cause == "still here"
        pid = int((lab.directory / "pid").read_text())
        assert not is_alive(pid)
        assert status_once(lab).units[0].restarts == 0


def test_one_that_fails_is_tried_again_and_one_that_is_not_there_is_told_of(lab: Lab) -> None:
    once = f"test -e {lab.directory}/tried || {{ touch {lab.directory}/tried; echo not yet; exit 3; }}"
    hooks = hook("sh", "-c", once, retries=1, on=("degraded",)), hook("/no/such/program", on=("degraded",))
    with serving(lab, plan_of(lab, *hooks)):
        lab.set_sick("unit-0", True)
        found = await_events(lab, 3)
    missing, failed, told = sorted(found, key=lambda event: ("No such" not in event.message, event.seq))
    assert "cannot be started" in missing.message
    assert ("exited with code 3" in failed.message, failed.cause, failed.data["attempt"]) == (True, "not yet", 1)
    assert (told.data["ok"], told.data["attempt"]) == (True, 2)


def test_what_happens_within_the_interval_is_told_together(lab: Lab) -> None:
    with serving(lab, plan_of(lab, hook(sys.executable, "-c", SAYS, interval_s=3.0))):
        break_and_mend(lab)
        until(lambda: (journal := read_journal(lab.place.journal)) and journal.told.is_well)
        lab.set_sick("unit-0", True)
        await_events(lab, 2)
    first, second = (given[0] for given in printed(lab))
    assert first["event"] == "degraded"
    assert second["event"] == "degraded"
    assert [it["event"] for it in second["earlier"]] == ["recovered"]


def test_a_unit_that_stays_down_is_told_of_and_again_by_no_later_supervisor(lab: Lab) -> None:
    plan = plan_of(lab, hook(sys.executable, "-c", SAYS), restart=RestartPolicy(max_restarts=0))
    with daemon(lab, plan) as (process, _):
        pid = status_once(lab).units[0].pid
        assert pid
        lab.set_sick("unit-0", True)  # its successor would not serve either
        os.kill(pid, signal.SIGKILL)
        until(lambda: "failed" in [event.data["event"] for event in events(lab)])
        process.kill()
    assert printed(lab)[-1][0]["text"] == "lab: unit-0 stays down"
    told = len(events(lab))
    lab.set_sick("unit-0", False)
    with serving(lab, plan):
        assert [event.data["event"] for event in await_events(lab, told + 1)[told:]] == ["recovered"]


@contextmanager
def server(*answers: int, tls: tuple[str, str] | None = None) -> Iterator[tuple[int, list[Any]]]:
    """A web server that gives these answers in turn, repeating the last one."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(answers[min(len(got), len(answers)) - 1])
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield listening.server_port, got
        finally:
            listening.shutdown()
            thread.join()


def posted(lab: Lab, answers: tuple[int, ...], count: int) -> tuple[list[Event], list[Any]]:
    with server(*answers) as (port, got):
        env = {ADDRESS: f"http://127.0.0.1:{port}/services/{SECRET}"}
        with serving(lab, plan_of(lab, hook(url_in=ADDRESS, retries=1, on=("degraded",))), env=env):
            lab.set_sick("unit-0", True)
            return await_events(lab, count), got


def test_a_webhook_is_posted_to_and_again_when_it_is_busy(lab: Lab) -> None:
    found, got = posted(lab, (503, 204), 2)
    assert [(event.data["ok"], event.cause) for event in found] == [(False, "it answered 503"), (True, "")]
    assert [path for path, _ in got] == [f"/services/{SECRET}"] * 2
    assert got[0][1] == got[1][1]
    assert got[0][1]["text"].startswith("lab is degraded: unit-0 is ")


@pytest.mark.parametrize("answer", [404, 302])
def test_one_that_refuses_is_not_asked_again(lab: Lab, answer: int) -> None:
    found, got = posted(lab, (answer,), 1)
    assert (found[0].cause, "not tried again" in found[0].message) == (f"it answered {answer}", True)
    assert len(got) == 1


def test_its_address_is_written_nowhere(lab: Lab) -> None:
    posted(lab, (503,), 2)
    for file in lab.place.directory.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


def test_an_address_in_a_file_is_read_each_time(lab: Lab) -> None:
    with server(204) as (port, got):
        file = lab.directory / "address"
        with serving(lab, plan_of(lab, hook(url_file=str(file)))):
            lab.set_sick("unit-0", True)
            assert "No such file" in await_events(lab, 1)[0].message
            file.write_text(f"http://127.0.0.1:{port}/late\n")
            lab.set_sick("unit-0", False)
            assert await_events(lab, 2)[1].data["ok"]
    assert [(path, body["event"]) for path, body in got] == [("/late", "recovered")]


def test_one_that_hangs_in_the_handshake_has_a_time_limit_and_is_asked_as_often_as_is_wanted(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {ADDRESS: f"https://127.0.0.1:{silent.getsockname()[1]}/services/{SECRET}"}
        hangs = hook(url_in=ADDRESS, retries=1, timeout_s=0.5, on=("degraded",))
        with serving(lab, plan_of(lab, hangs), env=env):
            lab.set_sick("unit-0", True)
            found = await_events(lab, 2)
    assert all("had not ended after 0.5 s, and was killed" in event.message for event in found)
    assert [event.message.rpartition("; ")[2] for event in found] == ["it will be tried again", "it is not tried again"]


def test_one_whose_certificate_nobody_knows_is_told_of_once(lab: Lab) -> None:
    with server(204, tls=certificate(lab.directory, "unknown")) as (port, got):
        env = {ADDRESS: f"https://127.0.0.1:{port}/services/{SECRET}"}
        with serving(lab, plan_of(lab, hook(url_in=ADDRESS, retries=1, on=("degraded",))), env=env):
            lab.set_sick("unit-0", True)
            (event,) = await_events(lab, 1)
    assert event.cause.startswith("its certificate is not trusted: ")
    assert (got, "it is not tried again" in event.message) == ([], True)
