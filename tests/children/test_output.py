"""Log files: reading their end, and rotation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apart import told

from dynkv.children.output import open_log, rotate, tail


def test_the_last_lines_without_the_empty_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n\ntwo\n  \nthree")
    assert tail(log, 2) == ["two", "three"]
    assert tail(log, 9) == ["one", "two", "three"]


def test_nothing_where_there_is_no_file(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 5) == []


def test_only_what_this_incarnation_wrote(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old\nnew\n")
    assert tail(log, 5, since_byte=4) == ["new"]
    assert tail(log, 5, since_byte=8) == []


def test_all_of_it_when_the_log_was_truncated_since(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"fresh\n")
    assert tail(log, 5, since_byte=1_000_000) == ["fresh"]


def test_a_huge_log_is_read_from_near_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(10 << 30)  # sparse; reading all of it would take a minute and 10 GB
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe end\n")
    assert tail(log, 1) == ["the end"]


def test_what_is_no_utf_8_is_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\xffb\n")
    assert tail(tmp_path / "log", 1) == ["a�b"]


def test_where_no_log_can_be_made_output_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fd = open_log(tmp_path / "file" / "log")
    assert str(Path(f"/proc/self/fd/{fd}").readlink()) == "/dev/null"
    os.close(fd)


def test_rotation_keeps_the_newest_copies_and_the_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fd = open_log(log)
    for number in range(4):
        os.write(fd, f"{number} early\n{number} late\n".encode())
        assert rotate(log, max_bytes=10, keep=2)
    os.write(fd, b"now\n")
    os.close(fd)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"log": "now\n", "log.1": "3 late\n", "log.2": "2 late\n"}


def test_a_copy_has_whole_lines_and_no_more_than_a_log_may_have(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [f"line {number}\n" for number in range(100)]
    for allowed in (9, 50, 500, 780):
        log.write_text("".join(lines))
        assert rotate(log, max_bytes=allowed, keep=1)
        copy = (tmp_path / "log.1").read_text()
        assert copy == "".join(lines[-copy.count("\n") :] if copy else [])
        assert allowed - len(lines[-1]) < len(copy) <= allowed


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"0123456789")
    assert not rotate(log, max_bytes=10, keep=2)
    assert not rotate(tmp_path / "none", max_bytes=10, keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_log_that_cannot_be_copied_is_emptied_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"0123456789ab")
    (tmp_path / "log.1").mkdir()
    (tmp_path / "log.1" / "in the way").write_text("")
    (tmp_path / "log.2").mkdir()
    (tmp_path / "log.2" / "in the way").write_text("")
    with pytest.raises(OSError, match=r"log\.1"):
        rotate(log, max_bytes=10, keep=2)
    assert log.read_bytes() == b""


NOT_OURS = r"""
import json, os, tempfile
from pathlib import Path
from dynkv.children.output import rotate
with tempfile.TemporaryDirectory(dir="/tmp") as directory:
    os.chmod(directory, 0o777)
    log = Path(directory) / "log"
    log.write_bytes(b"x\n" * 100)
    os.chmod(log, 0o644)
    pid = os.fork()
    if pid == 0:
        os.setresuid(65534, 65534, 65534)
        (Path(directory) / "log.1").write_bytes(b"older\n")
        try:
            rotate(log, 10, 3)
        except PermissionError:
            os._exit(7)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, sorted(path.name for path in Path(directory).iterdir()), log.stat().st_size]))
"""


def test_one_that_may_not_be_emptied_costs_no_copy() -> None:
    """With a file of another user that cannot be truncated, all copies would soon be the same."""
    assert told(NOT_OURS) == [7, ["log", "log.1"], 200]


def test_any_number_of_copies_may_be_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text in (b"one\n" * 9, b"two\n" * 9, b"three\n" * 9):
        log.write_bytes(text)
        assert rotate(log, 6, 10**12)
    assert [(tmp_path / f"log.{n}").read_bytes() for n in (1, 2, 3)] == [b"three\n", b"two\n", b"one\n"]
