"""Imports that stay parked between deployments, with mockers: who uses them, what reaches whom, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from seen import own_memory_kb, seen

from dynkv.children.marks import MARK_INCARNATION

from .census import lives
from .harness import MOCKER, Dynkv, unit, wait_for

pytestmark = pytest.mark.stack

WORDS = (*MOCKER, "--no-lmcache", "--set", "standby=always")
SECRET = "hf_planted_in_the_first"


def test_nothing_of_one_deployment_reaches_the_next(
    dynkv: Dynkv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dynkv.do("park", "agg", *WORDS)
    parked = _parked(dynkv)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    planted = os.open(tmp_path / "planted", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(planted, True)
    first = dynkv.up("agg", *WORDS)
    assert first["supervisor"]["pid"] == parked["pid"]
    assert [it["pid"] for it in first["standbys"]] == [it["pid"] for it in parked["parked"]]
    assert _starts_from_it(dynkv, "agg") == ["worker-0"]
    assert SECRET in _everything_of(unit(first, "worker-0")["pid"]), "the first one has it"
    dynkv.do("down")
    monkeypatch.delenv("HF_TOKEN")
    os.close(planted)

    wait_for(lambda: _parked(dynkv)["deployment"] is None, "it is parked again")
    second = dynkv.up("agg", *WORDS, "--name", "two")
    assert second["supervisor"]["pid"] == parked["pid"]
    assert _starts_from_it(dynkv, "two") == ["worker-0"]
    for pid in (parked["pid"], *(it["pid"] for it in [*second["units"], *second["standbys"]])):
        found = _everything_of(pid)
        assert SECRET not in found
        assert "planted" not in found
        assert not re.search(rf"{dynkv.home}/agg\b", found)
        assert not re.search(r"DYNKV_DEPLOYMENT=agg\b", found)
        assert SECRET.encode() not in _memory_of(pid)

    said = dynkv.do("park", "--stop").stdout
    assert "it ends with two" in said
    dynkv.do("down", "two")
    _is_over(dynkv, parked)


def test_a_worker_finds_the_same_as_if_nothing_had_been_parked(dynkv: Dynkv) -> None:
    """This also holds for the second deployment, and what is parked has not grown."""
    usual = dynkv.up("agg", *WORDS, "--set", "standby=off")
    plainly = _view(usual)
    dynkv.do("down")
    dynkv.do("park", "agg", *WORDS)
    parked = _parked(dynkv)["parked"][0]["pid"]
    before = own_memory_kb(parked), seen(parked)
    for _ in range(2):
        status = dynkv.up("agg", *WORDS)
        assert _starts_from_it(dynkv, "agg")[-1] == "worker-0"
        assert _view(status) == plainly
        dynkv.do("down")
        wait_for(lambda: _parked(dynkv)["deployment"] is None, "it is parked again")
        assert (own_memory_kb(parked), seen(parked)) == before
    dynkv.do("park", "--stop")


def test_a_changed_profile_leaves_it_parked(dynkv: Dynkv) -> None:
    """The next supervisor of the deployment is the same process once more."""
    dynkv.do("park", "agg", *WORDS)
    parked = _parked(dynkv)
    before = dynkv.up("agg", *WORDS)
    after = dynkv.up("agg", *WORDS, "--set", "frontend.router_mode=kv")
    assert after["supervisor"]["pid"] == parked["pid"]
    assert unit(after, "frontend")["pid"] != unit(before, "frontend")["pid"]
    assert unit(after, "worker-0")["pid"] == unit(before, "worker-0")["pid"]
    os.kill(unit(after, "worker-0")["pid"], signal.SIGKILL)
    dynkv.wait_for_restart("worker-0", after)
    assert _starts_from_it(dynkv, "agg") == ["worker-0", "worker-0"]
    dynkv.do("down")
    wait_for(lambda: _parked(dynkv)["deployment"] is None, "it is parked again")
    assert [it["pid"] for it in _parked(dynkv)["parked"]] == [it["pid"] for it in parked["parked"]]
    dynkv.do("park", "--stop")


def test_whoever_dies_leaves_nothing_parked(dynkv: Dynkv) -> None:
    dynkv.do("park", "agg", *WORDS)
    before = _parked(dynkv)
    status = dynkv.up("agg", *WORDS)
    os.kill(before["pid"], signal.SIGKILL)
    _is_over(dynkv, before)
    worker = unit(status, "worker-0")["pid"]
    after = dynkv.up("agg", *WORDS)
    assert unit(after, "worker-0")["pid"] == worker, "it went on, and was taken over"
    dynkv.do("down")

    dynkv.do("park", "agg", *WORDS)
    parked = _parked(dynkv)
    os.kill(parked["pid"], signal.SIGKILL)
    _is_over(dynkv, parked)


def test_it_ends_when_the_installation_changes(dynkv: Dynkv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *([given] if given else [])]))
    dynkv.do("park", "agg", *WORDS)
    parked = _parked(dynkv)
    refused = dynkv.run("park", "agg", *WORDS)
    assert (refused.returncode, "parked already" in refused.stderr) == (4, True)
    (tmp_path / "some-1.0.dist-info").mkdir()
    _is_over(dynkv, parked)
    told = dynkv.run("park")
    assert told.returncode == 3
    assert f"installation has changed: {tmp_path}" in told.stderr


def _parked(dynkv: Dynkv) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dynkv.do("park", "--json").stdout)
    return found


def _view(status: dict[str, Any]) -> dict[str, object]:
    """The properties of its worker, without its incarnation's mark. The kinds of open files are those that it uses for
    its work."""
    found = seen(unit(status, "worker-0")["pid"])
    environment, files = cast(dict[str, str], found["environment"]), cast(dict[str, int], found["open files"])
    assert environment.pop(MARK_INCARNATION)
    return {**found, "open files": {*files}}


def _starts_from_it(dynkv: Dynkv, name: str) -> list[str]:
    events = [event for event in dynkv.events(name) if event["unit"] == "standby"]
    assert not any(event["message"].startswith("parked in") for event in events), "nothing was imported anew"
    return [event["message"].split()[0] for event in events if "starts from it" in event["message"]]


def _everything_of(pid: int) -> str:
    """Everything that /proc shows of a process: environment, arguments, open files, working directory."""
    proc = Path("/proc", str(pid))
    found = [(proc / name).read_bytes().decode(errors="replace") for name in ("environ", "cmdline")]
    for descriptor in (proc / "fd").iterdir():
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return "\0".join([*found, str((proc / "cwd").readlink())])


def _memory_of(pid: int) -> bytes:
    """Its memory that it has written itself, as far as it can be read."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights, *_ = line.split()
            start, end = (int(number, 16) for number in where.split("-"))
            if rights.startswith("rw"):
                with suppress(OSError, OverflowError):
                    memory.seek(start)
                    found.append(memory.read(min(end - start, 1 << 28)))
    return b"".join(found)


def _is_over(dynkv: Dynkv, parked: dict[str, Any]) -> None:
    pids = [parked["pid"], *(it["pid"] for it in parked["parked"])]
    wait_for(lambda: not any(psutil.pid_exists(pid) and lives(psutil.Process(pid)) for pid in pids), "all have ended")
    assert dynkv.run("park").returncode == 3
