"""DYNKV_HOME: where it is, what it contains, and who holds its locks."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynkv.errors import PreflightRefused, UsageError
from dynkv.home import Place, deployments, home, place
from dynkv.locks import planning, take_lock
from dynkv.short_paths import remove_shortcut

_HOLD = "import sys; from pathlib import Path; from dynkv.locks import {what}; {hold}"


@contextmanager
def another_process(code: str, *args: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until the block ends, and has printed a line."""
    command = [sys.executable, "-c", code, *map(str, args)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


class TestHome:
    def test_as_given(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DYNKV_HOME", str(tmp_path / "state"))
        assert home() == tmp_path / "state"
        monkeypatch.setenv("DYNKV_HOME", "~/state")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert home() == tmp_path / "state"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DYNKV_HOME", "relative")
        assert home() == tmp_path / "relative"

    def test_in_the_state_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DYNKV_HOME", "")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
        assert home() == tmp_path / "xdg" / "dynkv"
        monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
        assert home() == tmp_path / ".local" / "state" / "dynkv"
        monkeypatch.delenv("XDG_STATE_HOME")
        assert home() == tmp_path / ".local" / "state" / "dynkv"


@pytest.mark.parametrize("name", ["agg", "agg-l2-posix", "7b", "my_stack.v2", "a" * 63])
def test_a_name(name: str) -> None:
    assert place(Path("/state"), name).directory == Path("/state") / name


@pytest.mark.parametrize("name", ["", "Agg", "-agg", ".", "..", "../x", "a/b", "_models", "a b", "a" * 64, "agg\n"])
def test_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a deployment") as refused:
        place(Path("/state"), name)
    assert refused.value.exit_code == 2
    assert "--name" in refused.value.hint


class TestSocketPath:
    @pytest.mark.parametrize(("letters", "is_long"), [("s" * 82, False), ("s" * 83, True), ("ß" * 50, True)])
    def test_bytes_are_counted_not_letters(self, letters: str, is_long: bool) -> None:
        where = place(Path("/" + letters), "agg")
        assert where.socket == Path(f"/{letters}/agg/control.sock")
        assert where.needs_short_socket is is_long

    @pytest.mark.parametrize("length", [10, 100, 250])
    def test_it_lies_in_the_deployments_directory_whatever_the_login(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: int
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
        assert place(Path("/" + "s" * length), "agg").socket == Path("/" + "s" * length) / "agg" / "control.sock"

    def test_a_disk_without_sockets_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        class Refusing(socket.socket):
            def bind(self, address: object) -> None:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(socket, "socket", Refusing)
        with pytest.raises(PreflightRefused, match=r"no socket can be made in .*: Operation not permitted") as refused:
            place(tmp_path, "agg").create()
        assert "DYNKV_HOME" in refused.value.hint


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory for short paths, with a short path itself."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as directory:
        monkeypatch.setattr("dynkv.short_paths._PARENTS", (directory,))
        yield Path(directory)


class TestScratch:
    def test_beside_the_rest(self) -> None:
        assert place(Path("/state"), "agg").scratch("worker-0") == Path("/state/agg/tmp/worker-0")

    def test_the_path_itself_while_it_is_short(self, tmp_path: Path, parent: Path) -> None:
        where = place(parent, "agg")
        assert where.own_tmpdir("worker-0") == {"TMPDIR": str(where.scratch("worker-0"))}
        assert list(parent.iterdir()) == [parent / "agg"]

    @pytest.mark.parametrize("length", [40, 150, 250])
    @pytest.mark.parametrize("unit", ["lmcache", "prefill-10", "u" * 36, "u" * 63])
    def test_short_enough_for_a_socket_named_by_a_uuid(self, tmp_path: Path, length: int, unit: str) -> None:
        where = place(tmp_path / ("s" * length), "agg")
        where.create()
        try:
            path = Path(where.own_tmpdir(unit)["TMPDIR"])
            assert path.samefile(where.scratch(unit))
            assert where.scratch(unit).is_relative_to(where.directory)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path / str(uuid.uuid4())))
        finally:
            remove_shortcut(where.directory)

    def test_units_with_long_names_share_nothing(self) -> None:
        where = place(Path("/state"), "agg")
        assert where.scratch("u" * 62 + "a") != where.scratch("u" * 62 + "b")

    def test_the_long_path_where_the_host_has_no_room_for_a_short_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dynkv.short_paths._PARENTS", (str(tmp_path / "missing"),))
        where = place(tmp_path / ("s" * 100), "agg")
        where.create()
        assert where.own_tmpdir("worker-0") == {"TMPDIR": str(where.scratch("worker-0"))}

    @pytest.mark.parametrize("linked", ["", "worker-0"])
    def test_nothing_is_removed_where_a_link_leads(
        self, tmp_path: Path, linked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dynkv.home._TMPDIR_MAX", 1000)
        where, elsewhere = place(tmp_path / "s", "agg"), tmp_path / "elsewhere"
        (elsewhere / "worker-0" / "dear").mkdir(parents=True)
        where.create()
        link = where.directory / "tmp" / linked
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere / linked)
        assert where.own_tmpdir("worker-0") == {}
        where.clear_tmpdir("worker-0")
        assert (elsewhere / "worker-0" / "dear").exists()


class TestCreate:
    def test_for_its_owner_only(self, tmp_path: Path) -> None:
        where = place(tmp_path / "deep" / "state", "agg")
        where.create()
        assert stat.S_IMODE(where.directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(where.logs.stat().st_mode) == 0o700
        assert list(where.directory.iterdir()) == [where.logs]

    def test_twice(self, tmp_path: Path) -> None:
        where = place(tmp_path, "agg")
        where.create()
        where.directory.chmod(0o755)
        where.create()
        assert stat.S_IMODE(where.directory.stat().st_mode) == 0o700

    def test_where_nothing_can_be_written(self) -> None:
        with pytest.raises(PreflightRefused, match="cannot write to /proc/x") as refused:
            place(Path("/proc/x"), "agg").create()
        assert refused.value.exit_code == 4
        assert "DYNKV_HOME" in refused.value.hint

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is another user's")
    @pytest.mark.parametrize("foreign", ["agg", "agg/logs"])
    def test_what_another_user_has_made_is_not_used_nor_listed(self, tmp_path: Path, foreign: str) -> None:
        where = place(tmp_path, "agg")
        where.create()
        where.journal.write_text("{}")
        os.chown(tmp_path / foreign, 65534, 65534)
        with pytest.raises(PreflightRefused, match="belongs to uid 65534"):
            where.create()
        assert deployments(tmp_path) == ([] if foreign == "agg" else ["agg"])

    def test_where_a_file_is_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "agg").write_text("")
        with pytest.raises(PreflightRefused, match="cannot write to"):
            place(tmp_path, "agg").create()


class TestLock:
    def test_one_process_has_it(self, tmp_path: Path) -> None:
        where = Place(tmp_path, "agg")
        where.create()
        hold = "fd = take_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
        assert not where.has_supervisor()
        with another_process(_HOLD.format(what="take_lock", hold=hold), where.lock):
            assert where.has_supervisor()
            assert take_lock(where.lock) is None
        assert not where.has_supervisor()

    def test_it_ends_with_its_descriptor(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        fd = take_lock(path)
        assert fd is not None
        assert take_lock(path) is None
        assert not os.get_inheritable(fd)
        os.close(fd)
        again = take_lock(path)
        assert again is not None
        os.close(again)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_asking_does_not_take_it(self, tmp_path: Path) -> None:
        where = Place(tmp_path, "agg")
        where.create()
        where.lock.touch()
        assert not where.has_supervisor()
        fd = take_lock(where.lock)
        assert fd is not None
        os.close(fd)

    def test_one_plans_at_a_time(self, tmp_path: Path) -> None:
        """The second one waits for the first: what it writes comes later."""
        hold = (
            "\nwith planning(Path(sys.argv[1])):"
            "\n    print('held', flush=True); sys.stdin.readline(); Path(sys.argv[2]).write_text('first')"
        )
        note = tmp_path / "note"
        with another_process(_HOLD.format(what="planning", hold=hold), tmp_path, note) as first:
            assert first.stdin is not None
            first.stdin.write("go\n")
            first.stdin.flush()
            with planning(tmp_path):
                assert note.read_text() == "first"


def test_deployments_are_those_that_left_a_journal(tmp_path: Path) -> None:
    assert deployments(tmp_path / "missing") == []
    assert deployments(tmp_path) == []
    for name in ("b", "a", "no-journal", "_models"):
        (tmp_path / name).mkdir()
    for name in ("b", "a", "_models"):
        (tmp_path / name / "journal.json").write_text("{}")
    (tmp_path / "file").write_text("")
    assert deployments(tmp_path) == ["a", "b"]


def test_a_disk_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (only their number is needed)
    with pytest.raises(PreflightRefused, match="files on this disk cannot be locked: No locks available") as refused:
        take_lock(tmp_path / "lock")
    assert refused.value.where == str(tmp_path / "lock")
    with pytest.raises(PreflightRefused, match="files on this disk cannot be locked"), planning(tmp_path):
        pytest.fail("nobody plans without a lock")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_whether_there_is_a_supervisor_is_asked_as_nfs_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a file that is open for writing can be locked exclusively there. Source: flock(2), "NFS details"."""
    flock = fcntl.flock

    def nfs(fd: int, how: int) -> None:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(fd, how)

    monkeypatch.setattr("fcntl.flock", nfs)
    made = Place(tmp_path, "a")
    made.create()
    lock = take_lock(made.lock)
    assert lock is not None
    assert made.has_supervisor()
    os.close(lock)
    assert not made.has_supervisor()


@pytest.mark.parametrize("given", [None, "~/state", "~nobody-of-that-name/x"])
def test_a_home_that_nobody_knows(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> None:
        raise KeyError

    for name in ("HOME", "XDG_STATE_HOME", "DYNKV_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    if given is not None:
        monkeypatch.setenv("DYNKV_HOME", given)
    with pytest.raises(UsageError, match="nothing tells which directory ~"):
        home()
