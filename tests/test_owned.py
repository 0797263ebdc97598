"""Only regular files of this user are opened, without waiting."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from odd import ODD, Odd, huge

from dynkv.owned import NotOwn, not_own, open_own, put_aside, read_own, write_whole

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR | os.O_CREAT])
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_of_ones_own_is_not_opened(odd: Odd, flags: int, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    path.parent.mkdir()
    odd(path)
    with pytest.raises(NotOwn) as refused:
        open_own(path, flags)
    assert refused.value.strerror == not_own(path) != ""
    assert not any(tmp_path.glob("*-nowhere")), "nothing is made elsewhere"


def test_a_file_that_others_have_put_a_fifo_in_the_place_of_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "file")
    monkeypatch.setattr("dynkv.owned._check_if_there", lambda path: None)
    with pytest.raises(NotOwn, match="FIFO"):
        open_own(tmp_path / "file", os.O_RDONLY)


def test_what_is_there_and_what_is_made(tmp_path: Path) -> None:
    fd = open_own(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    assert os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    os.write(fd, b"it")
    os.close(fd)
    assert read_own(tmp_path / "file", 2) == b"it"
    assert not_own(tmp_path / "file") == not_own(tmp_path / "none") == ""
    with pytest.raises(FileNotFoundError):
        open_own(tmp_path / "none", os.O_RDONLY)


def test_no_more_is_read_than_somebody_wants(tmp_path: Path) -> None:
    huge(tmp_path / "file")
    with pytest.raises(OSError, match="longer than 10 bytes"):
        read_own(tmp_path / "file", 10)


def test_a_file_that_grows_faster_than_it_is_read(tmp_path: Path) -> None:
    path, is_over = tmp_path / "file", threading.Event()
    path.touch()

    def grow() -> None:
        with path.open("ab") as file:
            while not is_over.is_set() and file.tell() < 1 << 28:
                file.write(b"x" * 65536)

    growing = threading.Thread(target=grow)
    growing.start()
    while path.stat().st_size < 1 << 20:
        time.sleep(0.001)
    try:
        with pytest.raises(OSError, match="longer than"):
            read_own(path, 1000)
    finally:
        is_over.set()
        growing.join()


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd.__name__ != "directory"])
def test_a_whole_file_takes_the_place_of_whatever_lies_there(odd: Odd, tmp_path: Path) -> None:
    path, draft = tmp_path / "deep" / "file", tmp_path / "deep" / "draft"
    path.parent.mkdir()
    odd(path)
    odd(draft) if "link" not in odd.__name__ else draft.symlink_to(tmp_path / "nowhere")
    found = write_whole(path, b"new", draft)
    assert read_own(path, 3) == b"new"
    assert path.lstat().st_ino == found.st_ino
    assert not os.path.lexists(draft)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("odd", ODD)
def test_what_is_in_the_way_is_kept_beside(odd: Odd, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    path.parent.mkdir()
    for name in ("file.aside", "file.aside1"):
        odd(path)
        assert put_aside(path) == path.with_name(name)
        assert not os.path.lexists(path)
    path.write_bytes(b"own")
    assert put_aside(path) is None
    assert path.read_bytes() == b"own"
