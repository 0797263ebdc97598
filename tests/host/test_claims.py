"""Claims on ports, with real sockets, processes, users and network namespaces."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dynkv.host import claims
from dynkv.host.claims import Claims, claimed_ports
from dynkv.host.files import names_in

PORTS = (64001, 64002, 64003)
"""Ports that no deployment would plan."""
HOLD = f"""
import sys
from dynkv.host.claims import Claims
claims = Claims()
print(sorted(claims.hold({PORTS!r})), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def mine() -> Iterator[Claims]:
    with Claims() as claims:
        yield claims


@pytest.fixture
def theirs() -> Iterator[Claims]:
    with Claims() as claims:
        yield claims


def test_who_comes_second_is_told_what_the_first_has(mine: Claims, theirs: Claims) -> None:
    assert mine.hold(PORTS[:2]) == set()
    assert theirs.hold(PORTS[1:]) == {PORTS[1]}
    assert {*PORTS} <= claimed_ports()


def test_holding_others_gives_the_first_back(mine: Claims, theirs: Claims) -> None:
    mine.hold(PORTS[:2])
    mine.hold(PORTS[1:])
    assert theirs.hold(PORTS) == {*PORTS[1:]}
    mine.close()
    assert theirs.hold(PORTS) == set()


def test_holding_them_again_is_holding_them_once(mine: Claims) -> None:
    assert mine.hold(PORTS) == mine.hold(PORTS) == set()
    assert len(mine.descriptors) == len(PORTS)


def test_they_are_held_by_who_inherits_them_and_end_with_it(mine: Claims, theirs: Claims) -> None:
    mine.hold(PORTS)
    with subprocess.Popen(["sleep", "60"], pass_fds=mine.descriptors) as heir:
        mine.close()
        assert theirs.hold(PORTS) == {*PORTS}
        os.kill(heir.pid, signal.SIGKILL)
    assert theirs.hold(PORTS) == set()


def holder(*before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_holds_them_as_well(mine: Claims) -> None:
    with holder("setpriv", "--reuid", "65534", "--clear-groups") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "[]\n"
        assert mine.hold(PORTS) == {*PORTS}
        assert {*PORTS} <= claimed_ports()
        other.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network namespace")
def test_another_network_has_ports_of_its_own(mine: Claims) -> None:
    mine.hold(PORTS)
    with holder("unshare", "--net") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "[]\n"
        other.kill()


def test_they_leave_descriptors_for_what_matters_more(mine: Claims) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(names_in("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + claims._KEPT + 1, hard))
    try:
        assert mine.hold(PORTS) == set()
        assert len(mine.descriptors) < len(PORTS)
        with socket.socket():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
