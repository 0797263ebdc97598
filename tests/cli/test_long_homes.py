"""Deployments whose directory is too deep for sockets, and whose login has ended."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import UNITS, Command, command_in, until
from surrounded import ONE, environ, started, unit_of

from dynkv.short_paths import holder_of
from dynkv.supervisor.journal import read_journal

NOBODY = 65534
LONG_NAME = "n" * 63
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    # as root, because the interpreter may be in root's home
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
with_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv")


@pytest.fixture(params=[150, 250])
def dynkv(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Command]:
    """The command line with a DYNKV_HOME of at least that many bytes."""
    with command_in(tmp_path) as command:
        more = request.param - len(os.fsencode(command.home))
        command.home = command.home / ("h" * max(1, more - 1))
        yield command


def journalled_socket(dynkv: Command) -> str:
    journal = read_journal(dynkv.place().journal)
    assert journal is not None
    return journal.socket


def asked_plainly(path: str) -> str:
    """The deployment's state, read by a client that knows only a path."""
    connection = http.client.HTTPConnection("dynkv")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(path)
        connection.request("GET", "/v1/status")
        return str(json.loads(connection.getresponse().read())["state"])
    finally:
        connection.close()


def tmpdir_of(pid: int) -> Path:
    return Path(environ(pid)["TMPDIR"])


def binds(directory: Path) -> bool:
    """Whether a socket named by a UUID fits into the directory's path."""
    path = directory / ("u" * 36)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    path.unlink()
    return True


def test_every_verb_works_and_nothing_is_left(dynkv: Command) -> None:
    assert started(dynkv).returncode == 0
    place, unit = dynkv.place(), unit_of(dynkv)
    assert dynkv.status()["state"] == "ready"
    for words in (["status"], ["wait"], ["restart", "one"], ["logs"], ["events"], ["stop", "one"], ["start", "one"]):
        done = dynkv(*words)
        assert done.returncode == 0, (words, done.stderr)
    unit = unit_of(dynkv)
    assert place.socket.is_socket()
    assert asked_plainly(journalled_socket(dynkv)) in ("ready", "starting", "degraded")
    assert tmpdir_of(unit).samefile(place.scratch("one"))
    assert binds(tmpdir_of(unit))
    holder = holder_of(place.directory)
    assert holder is not None
    dynkv.end_all()
    assert not holder.exists()
    assert not os.path.lexists(place.socket)
    assert not place.scratch_root.exists()
    assert {path.name for path in place.directory.iterdir()} == {"journal.json", "events.jsonl", "logs", "lock"}


def test_it_outlives_the_login(dynkv: Command) -> None:
    """The runtime directory is removed at the last logout."""
    run = dynkv.directory / "run"
    run.mkdir(mode=0o700)
    assert started(dynkv, env={**dynkv.env, "XDG_RUNTIME_DIR": str(run)}).returncode == 0
    assert list(run.iterdir()) == []
    run.rmdir()
    assert dynkv.status()["state"] == "ready"
    assert dynkv("status", XDG_RUNTIME_DIR="/run/user/4711").returncode == 0
    assert "XDG_RUNTIME_DIR" not in environ(unit_of(dynkv))
    assert binds(tmpdir_of(unit_of(dynkv)))


@pytest.mark.parametrize("what", ["all", "link", "socket", "tmpdir"])
def test_what_is_removed_is_made_again(tmp_path: Path, what: str) -> None:
    with command_in(tmp_path) as dynkv:
        dynkv.home = dynkv.home / ("h" * 150)
        assert started(dynkv).returncode == 0
        place, unit, path = dynkv.place(), unit_of(dynkv), journalled_socket(dynkv)
        holder = holder_of(place.directory)
        assert holder is not None
        match what:
            case "all":
                shutil.rmtree(holder)
            case "link":
                (holder / "d").unlink()
            case "socket":
                place.socket.unlink()
            case "tmpdir":
                shutil.rmtree(place.scratch_root)
        until(lambda: os.path.exists(path) and tmpdir_of(unit).is_dir())
        assert holder_of(place.directory) == holder
        until(lambda: is_answered(path))
        assert journalled_socket(dynkv) == path
        assert binds(tmpdir_of(unit))
        if what in ("all", "link"):
            assert f"the short path {holder} was removed, and is made again" in dynkv("events").stdout


def is_answered(path: str) -> bool:
    try:
        return asked_plainly(path) == "ready"
    except OSError:
        return False


@pytest.mark.parametrize("by", ["a link", "a directory"])
def test_a_name_that_was_taken_meanwhile_is_another_ones(tmp_path: Path, by: str) -> None:
    with command_in(tmp_path) as dynkv:
        dynkv.home = dynkv.home / ("h" * 150)
        assert started(dynkv).returncode == 0
        place, before = dynkv.place(), journalled_socket(dynkv)
        holder = holder_of(place.directory)
        assert holder is not None
        trap = tmp_path / "trap"
        trap.mkdir(mode=0o777)
        # at once: the supervisor checks every two seconds
        holder.rename(tmp_path / "away")
        holder.symlink_to(trap) if by == "a link" else holder.mkdir(mode=0o777)
        holder.chmod(0o777)
        try:
            until(lambda: journalled_socket(dynkv) != before)
            assert asked_plainly(journalled_socket(dynkv)) == "ready"
            assert holder_of(place.directory) != holder
            assert f"the short path {holder} is another's now" in dynkv("events").stdout
            assert dynkv("restart", "--wait", "one").returncode == 0
            assert binds(tmpdir_of(unit_of(dynkv)))
            dynkv.end_all()
            assert os.path.lexists(holder)
            assert [*trap.iterdir(), *holder.iterdir()] == []
        finally:
            holder.unlink() if holder.is_symlink() else holder.rmdir()


def test_the_next_supervisor_finds_the_same_short_path(tmp_path: Path) -> None:
    with command_in(tmp_path) as dynkv:
        dynkv.home = dynkv.home / ("h" * 150)
        assert started(dynkv).returncode == 0
        unit, before = unit_of(dynkv), journalled_socket(dynkv)
        dynkv.kill_supervisor()
        shutil.rmtree(Path(before).parents[1])
        assert started(dynkv).returncode == 0
        assert unit_of(dynkv) == unit
        assert journalled_socket(dynkv) == before
        assert binds(tmpdir_of(unit))
        dynkv.kill_supervisor()
        assert dynkv("down").returncode == 0
        assert not os.path.lexists(Path(before).parents[1])


def test_units_with_long_names(tmp_path: Path) -> None:
    with command_in(tmp_path) as dynkv:
        profile = dynkv.profile(f"{UNITS}  - {{name: {LONG_NAME}, argv: [sleep, '1000']}}\n")
        assert dynkv("up", profile, "--name", LONG_NAME).returncode == 0
        assert binds(tmpdir_of(dynkv.pids(LONG_NAME)[LONG_NAME]))


def test_what_a_dead_deployment_has_left_is_shown_and_removed(tmp_path: Path) -> None:
    with command_in(tmp_path) as dynkv:
        dynkv.home = dynkv.home / ("h" * 150)
        assert started(dynkv).returncode == 0
        holder, unit = holder_of(dynkv.place().directory), unit_of(dynkv)
        assert holder is not None
        dynkv.kill_supervisor()
        os.kill(unit, 9)
        until(lambda: not dynkv.left_running())
        assert str(holder) in dynkv("doctor", "mine.yaml").stdout.replace("\n", "")
        assert dynkv("doctor", "--clean").returncode == 0
        assert not holder.exists()


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that every user can reach, unlike those of the tests."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="long-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@as_root
@with_setpriv
class TestAnotherUser:
    """As after `su`, which leaves the first user's runtime directory in the environment."""

    @pytest.mark.parametrize("depth", [1, 150])
    def test_a_runtime_directory_of_somebody_else(self, depth: int) -> None:
        with public_directory() as directory, command_in(directory) as dynkv:
            run = directory / "run"
            run.mkdir(mode=0o700)
            dynkv.home = directory / "own" / ("h" * depth)
            (directory / "own").mkdir()
            os.chown(directory / "own", NOBODY, NOBODY)
            given = {**dynkv.env, "XDG_RUNTIME_DIR": str(run), "HOME": str(directory / "own")}
            (directory / "mine.yaml").write_text(ONE)
            done = {
                verb: subprocess.run(
                    [*AS_NOBODY, sys.executable, "-m", "dynkv", verb, *words],
                    cwd=directory,
                    env=given,
                    capture_output=True,
                    text=True,
                )
                for verb, words in (("up", ["mine.yaml"]), ("status", ["mine"]), ("down", []))
            }
            assert {verb: it.returncode for verb, it in done.items()} == dict.fromkeys(done, 0), done
            assert list(run.iterdir()) == []
