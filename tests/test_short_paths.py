"""Shortcuts to long paths: they lead there, are made again, and never go through what somebody else has made."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dynkv.short_paths import address, holder_of, is_whole, refresh, remove_shortcut, shortcut

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in place of /tmp: writable for everybody, and sticky."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as directory:
        Path(directory).chmod(0o1777)
        monkeypatch.setattr("dynkv.short_paths._PARENTS", (directory,))
        yield Path(directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "home" / "agg"
    made.mkdir(parents=True)
    return made


class TestAddress:
    @pytest.mark.parametrize("length", [1, 150, 250])
    def test_a_socket_is_bound_and_reached_by_any_path(self, tmp_path: Path, length: int) -> None:
        path = tmp_path / ("s" * length) / "control.sock"
        path.parent.mkdir()
        with closing(socket.socket(socket.AF_UNIX)) as listener, closing(socket.socket(socket.AF_UNIX)) as client:
            with address(path) as short:
                listener.bind(short)
            listener.listen()
            assert path.is_socket()
            before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
            with address(path) as short:
                client.connect(short)
            assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    def test_of_a_directory_that_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), address(tmp_path / ("s" * 150) / "control.sock"):
            pass


class TestShortcut:
    def test_it_leads_there_and_is_this_users_alone(self, directory: Path, parent: Path) -> None:
        short = shortcut(directory)
        assert short is not None
        assert short.samefile(directory)
        assert short.parent.parent == parent
        assert stat.S_IMODE(short.parent.lstat().st_mode) == 0o700
        assert holder_of(directory) == short.parent
        assert is_whole(directory)

    def test_in_tmp_it_is_short(self, directory: Path) -> None:
        short = shortcut(directory)
        assert short is not None
        assert len(os.fsencode(short)) <= 25
        remove_shortcut(directory)
        assert not short.parent.exists()

    def test_everybody_finds_the_same_one(self, directory: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = shortcut(directory)
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/4711")
        monkeypatch.setenv("TMPDIR", str(directory))
        assert shortcut(directory) == first
        assert len(list(parent.iterdir())) == 1

    def test_it_is_removed_with_its_note(self, directory: Path, parent: Path) -> None:
        shortcut(directory)
        (directory / "kept").touch()
        remove_shortcut(directory)
        assert list(parent.iterdir()) == []
        assert list(directory.iterdir()) == [directory / "kept"]
        remove_shortcut(directory)

    @pytest.mark.parametrize("what", ["link", "holder"])
    def test_what_was_removed_is_made_again_by_the_same_name(self, directory: Path, parent: Path, what: str) -> None:
        before = shortcut(directory)
        assert before is not None
        before.unlink()
        if what == "holder":
            before.parent.rmdir()
        assert not is_whole(directory)
        assert shortcut(directory) == before
        assert is_whole(directory)

    def test_it_follows_a_directory_that_was_moved(self, directory: Path, parent: Path) -> None:
        before = shortcut(directory)
        moved = directory.rename(directory.with_name("moved"))
        assert shortcut(moved) == before
        assert is_whole(moved)

    def test_a_copy_has_one_of_its_own(self, directory: Path, parent: Path) -> None:
        before = shortcut(directory)
        copy = Path(shutil.copytree(directory, directory.with_name("copy")))
        assert shortcut(copy) != before
        remove_shortcut(copy)
        assert is_whole(directory)

    def test_old_ones_stay_young(self, directory: Path, parent: Path) -> None:
        short = shortcut(directory)
        assert short is not None
        long_ago = time.time() - 10 * 86400
        os.utime(short, (long_ago, long_ago), follow_symlinks=False)
        os.utime(short.parent, (long_ago, long_ago))
        refresh(directory)
        for path in (short, short.parent):
            assert min(path.lstat().st_mtime, path.lstat().st_atime) > long_ago + 86400

    @pytest.mark.parametrize(
        "squat",
        [
            lambda name: name.write_text("file"),
            lambda name: name.mkdir(mode=0o755),
            lambda name: name.symlink_to("/"),
            lambda name: name.symlink_to(name.parent / "elsewhere"),
            lambda name: os.mkfifo(name),
        ],
        ids=["file", "open to others", "link", "link to one of ours", "fifo"],
    )
    def test_a_name_that_was_taken_meanwhile_is_not_used(
        self, directory: Path, parent: Path, squat: Callable[[Path], object]
    ) -> None:
        (parent / "elsewhere").mkdir(mode=0o700)
        before = shortcut(directory)
        assert before is not None
        shutil.rmtree(before.parent)
        squat(before.parent)
        now = shortcut(directory)
        assert now is not None
        assert now.parent != before.parent
        assert is_whole(directory)
        assert os.path.lexists(before.parent)
        assert list((parent / "elsewhere").iterdir()) == []

    @as_root
    def test_another_users_directory_is_not_used(self, directory: Path, parent: Path) -> None:
        before = shortcut(directory)
        assert before is not None
        os.chown(before.parent, NOBODY, NOBODY)
        assert not is_whole(directory)
        now = shortcut(directory)
        assert now not in (None, before)
        remove_shortcut(directory)
        assert before.is_symlink()

    @pytest.mark.parametrize(
        "note",
        [
            "",
            "/",
            "/etc",
            "/tmp",
            "relative",
            "/tmp/../etc/dynkv-x",
            "/home/dynkv-x",
            "/tmp/dynkv-" + "x" * 100,
            "/tmp/dynkv-\0234567",
        ],
    )
    def test_a_note_that_cannot_be_true_is_nobodys(self, directory: Path, note: str) -> None:
        (directory / "shortcut").write_text(note)
        assert holder_of(directory) is None
        remove_shortcut(directory)
        assert list(directory.iterdir()) == []

    @pytest.mark.parametrize("mode", [0o777, 0o775])
    def test_where_others_could_rename_it_none_is_made(self, directory: Path, parent: Path, mode: int) -> None:
        parent.chmod(mode)
        assert shortcut(directory) is None
        assert list(parent.iterdir()) == []
        assert list(directory.iterdir()) == []

    @as_root
    def test_in_another_users_directory_neither(self, directory: Path, parent: Path) -> None:
        os.chown(parent, NOBODY, NOBODY)
        try:
            assert shortcut(directory) is None
        finally:
            os.chown(parent, 0, 0)
