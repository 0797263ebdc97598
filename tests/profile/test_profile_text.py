"""The file of a profile: read or refused, and never waited for without end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dynkv.errors import ProfileError
from dynkv.profile import text
from dynkv.profile.load import load
from dynkv.profile.text import MAX_BYTES


def refused(path: Path) -> str:
    began = time.monotonic()
    with pytest.raises(ProfileError) as error:
        load(str(path))
    assert time.monotonic() - began < 5
    assert error.value.hint
    return error.value.what


def test_a_directory(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path} is a directory"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom", "/dev/full"])
def test_a_device(device: str) -> None:
    assert refused(Path(device)) == f"{device} is a device, which has no end"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.touch(mode=0)
    assert refused(file) == f"cannot read {file}: Permission denied"


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 10_000_000, 10**12])
def test_a_file_that_is_too_long(tmp_path: Path, size: int) -> None:
    file = tmp_path / "mine.yaml"
    file.touch()
    os.truncate(file, size)
    assert refused(file) == f"{file} is longer than 256 KiB"


@pytest.mark.parametrize("content", [b"a: caf\xe9", "a: é".encode("utf-16"), b"\xc0\x80", b"\xed\xa0\x80"])
def test_another_encoding(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    assert "not valid UTF-8" in refused(file)


@pytest.mark.parametrize("content", [b"a: \x00", b"a: \x1b[31m", b"\x7f: a", "a: \x85\u2028b".encode()])
def test_characters_that_no_text_has(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    shown = refused(file)
    assert shown.isprintable()


def test_a_fifo_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo") == f"{tmp_path}/fifo is a pipe that nobody writes to"


def written_by(write: Callable[[int], None], path: Path) -> threading.Thread:
    def work() -> None:
        fd = os.open(path, os.O_WRONLY)
        try:
            write(fd)
        except BrokenPipeError:
            pass  # the reader has stopped reading
        finally:
            os.close(fd)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_fifo_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def slowly(fd: int) -> None:
        for piece in (b"description: a\n", b"", b"standby: off\n"):
            os.write(fd, piece)
            time.sleep(0.05)

    writer = written_by(slowly, tmp_path / "fifo")
    assert load(str(tmp_path / "fifo")).profile.standby == "off"
    writer.join()


def test_a_fifo_without_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def for_ever(fd: int) -> None:
        while True:
            os.write(fd, b"#\n" * 1000)

    writer = written_by(for_ever, tmp_path / "fifo")
    assert refused(tmp_path / "fifo") == f"{tmp_path}/fifo is longer than 256 KiB"
    writer.join()


@pytest.mark.parametrize("trickles", [True, False])
def test_a_fifo_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trickles: bool) -> None:
    monkeypatch.setattr(text, "_PIPE_S", 0.5)
    os.mkfifo(tmp_path / "fifo")
    over = threading.Event()

    def without_end(fd: int) -> None:
        while not over.wait(0.01):
            os.write(fd, b"#\n" if trickles else b"")

    writer = written_by(without_end, tmp_path / "fifo")
    assert refused(tmp_path / "fifo") == f"{tmp_path}/fifo did not end within 0.5 s"
    over.set()
    writer.join()


def shown_by(shell: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which `show FILE` stands for `dynkv profiles show FILE`."""
    command = shell.replace("show", f"{sys.executable} -m dynkv profiles show")
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, **environ})


def test_what_a_shell_puts_in_a_files_place() -> None:
    done = shown_by('show <(echo "extends: agg"; sleep 0.1; echo "standby: off")')
    assert (done.stdout, done.stderr, done.returncode) == ("extends: agg\nstandby: off\n", "", 0)


def test_what_is_shown_is_read_as_utf_8_whatever_the_locale() -> None:
    done = shown_by("echo 'standby: é' | show /dev/stdin", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="POSIX")
    assert (done.stdout, done.stderr, done.returncode) == ("standby: \\u00e9\n", "", 0)


def test_a_shell_whose_program_says_nothing() -> None:
    done = shown_by("show <(true)")
    assert done.returncode == 2
    assert "is a pipe that nobody writes to" in done.stderr
