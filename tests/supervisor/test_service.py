"""Reports of a real supervisor in the foreground to a service manager, on a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemons import daemon, status_once
from lab import Lab
from processes import until

from dynkv.host.processes import environment_of
from dynkv.supervisor.events import decoded
from dynkv.supervisor.service import Manager, manager_of, news
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, UnitStatus

PID = 4711


class Listener:
    """A service manager, and the datagrams that it has received."""

    def __init__(self, address: str | bytes) -> None:
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.line.bind(address)
        self.line.setblocking(False)
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        """All lines so far."""
        while True:
            try:
                self.heard += self.line.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.heard


@contextmanager
def listener(address: str | bytes) -> Iterator[Listener]:
    made = Listener(address)
    with made.line:
        yield made


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("is_abstract", [False, True])
def test_it_is_told_when_the_deployment_is_ready_and_when_it_ends(lab: Lab, is_abstract: bool) -> None:
    """Not before: the unit is sick at first."""
    unit = lab.unit("a")
    lab.set_sick("a", True)
    path = f"@dynkv-test-{os.getpid()}" if is_abstract else str(lab.directory / "notify")
    address = f"\0{path[1:]}".encode() if is_abstract else path
    with (
        listener(address) as manager,
        (lab.directory / "out").open("wb") as out,
        daemon(lab, lab.plan(unit), stdout=out, env={"NOTIFY_SOCKET": path}) as (process, _),
    ):
        until(lambda: "STATUS=starting: a is starting" in manager.hear(), 30)
        assert "READY=1" not in manager.hear()
        lab.set_sick("a", False)
        until(lambda: "STATUS=ready" in manager.hear(), 30)
        assert manager.hear().count("READY=1") == 1
        assert "STOPPING=1" not in manager.hear()
        child = status_once(lab).units[0].pid
        assert child
        assert "NOTIFY_SOCKET" not in (environment_of(child) or ["NOTIFY_SOCKET"])
        end(process)
        assert manager.hear().count("STOPPING=1") == 1
        assert manager.hear()[-1].startswith("STATUS=stop")
        assert not any(line.startswith("WATCHDOG") for line in manager.hear())


def test_what_it_shows_is_what_is_wrong(lab: Lab) -> None:
    with (
        listener(str(lab.directory / "notify")) as manager,
        (lab.directory / "out").open("wb") as out,
        daemon(lab, lab.plan(lab.unit("a")), stdout=out, env={"NOTIFY_SOCKET": str(lab.directory / "notify")}) as (
            process,
            _,
        ),
    ):
        until(lambda: "STATUS=ready" in manager.hear(), 30)
        lab.set_sick("a", True)
        until(lambda: "STATUS=degraded: a is unready" in manager.hear(), 30)
        lab.set_sick("a", False)
        until(lambda: manager.hear()[-1] == "STATUS=ready", 30)
        assert manager.hear().count("READY=1") == 1
        end(process)


def test_a_watchdog_hears_of_it_all_the_time(lab: Lab) -> None:
    env = {"NOTIFY_SOCKET": str(lab.directory / "notify"), "WATCHDOG_USEC": "400000"}
    with (
        listener(env["NOTIFY_SOCKET"]) as manager,
        (lab.directory / "out").open("wb") as out,
        daemon(lab, lab.plan(lab.unit("a")), stdout=out, env=env) as (process, _),
    ):
        until(lambda: "STATUS=ready" in manager.hear(), 30)
        before = manager.hear().count("WATCHDOG=1")
        until(lambda: manager.hear().count("WATCHDOG=1") > before + 3, 30)
        end(process)


def test_one_that_cannot_be_told_ends_nothing_and_is_told_when_it_listens(lab: Lab) -> None:
    path = str(lab.directory / "notify")
    with (
        (lab.directory / "out").open("wb") as out,
        daemon(lab, lab.plan(lab.unit("a")), stdout=out, env={"NOTIFY_SOCKET": path}) as (process, _),
    ):
        status_once(lab)
        with listener(path) as manager:
            until(lambda: "READY=1" in manager.hear(), 30)
        end(process)
    events = [event for line in lab.place.events.read_bytes().splitlines() if (event := decoded(line))]
    assert [event.kind for event in events if event.message.startswith("the service manager")] == ["deployment"] * 2


def test_a_supervisor_in_the_background_tells_nobody(lab: Lab) -> None:
    """It is not the process that the manager started."""
    path = str(lab.directory / "notify")
    env = {"NOTIFY_SOCKET": path}
    with listener(path) as manager, daemon(lab, lab.plan(lab.unit("a")), env=env) as (process, _):
        status_once(lab)
        end(process)
        assert manager.hear() == []


@pytest.mark.parametrize(
    ("environ", "manager"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "/run/notify"}, Manager("/run/notify")),
        ({"NOTIFY_SOCKET": "@abc"}, Manager("@abc")),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, None),
        ({"NOTIFY_SOCKET": "notify"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000"}, Manager("/n", 3.0)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(PID)}, Manager("/n", 3.0)),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "-1"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "9" * 5000}, Manager("/n")),
        ({"WATCHDOG_USEC": "3000000"}, None),
    ],
)
def test_who_listens(environ: dict[str, str], manager: Manager | None) -> None:
    around = {**environ, "PATH": "/bin"}
    assert manager_of(around, PID) == manager
    assert around == {"PATH": "/bin"}


def test_news_fit_on_a_line() -> None:
    units = [UnitStatus(f"unit-{number}", "unit", State.BACKOFF) for number in range(500)]
    told = news(DeploymentState.FAILED, units)
    assert list(told) == ["STATUS"]
    assert told["STATUS"].startswith("failed: unit-0 is backoff, unit-1 is backoff")
    assert len(told["STATUS"]) == 200
