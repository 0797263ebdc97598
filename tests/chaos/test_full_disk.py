"""A full disk costs log lines, but no request. Needs root to mount a small file system."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stack.asking import chat
from stack.harness import MOCKER, Dynkv, Status, pids, unit, wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount"),
]


@pytest.fixture
def small() -> Iterator[Dynkv]:
    """A DYNKV_HOME on a file system of 32 MB."""
    directory = Path(tempfile.mkdtemp(prefix="dynkv-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(directory)], check=True)
    try:
        dynkv = Dynkv(directory)
        yield dynkv
        assert dynkv.take_everything_down() == []
        assert dynkv.left_behind() == []
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        directory.rmdir()


def test_a_full_disk_costs_no_request_and_is_told_of(small: Dynkv) -> None:
    before = small.up("agg", *MOCKER, "--no-lmcache", "--set", "restart.backoff_initial_s=0.1")
    with _kept_full(small.home / "ballast"):
        os.kill(unit(before, "frontend")["pid"], 9)
        full = _ready_again(small, "frontend", before)
        assert "cannot write" in full["detail"]
        assert "cannot write" in small.do("status").stdout
        _serves_for_longer_than_an_entry_lives(small)
        assert pids(small.status())["worker-0"] == pids(before)["worker-0"]

    os.kill(pids(full)["worker-0"], 9)
    well = _ready_again(small, "worker-0", full)
    assert well["detail"] == ""
    wait_for(lambda: small.events("agg")[-1]["unit"] is None, "it writes again, to the end")


def _ready_again(dynkv: Dynkv, name: str, before: Status) -> Status:
    return dynkv.wait_until(lambda s: s["state"] == "ready" and pids(s)[name] != pids(before)[name], "agg")


def _serves_for_longer_than_an_entry_lives(dynkv: Dynkv) -> None:
    """Discovery entries are files; workers touch them every 3 s and lose them after 10."""
    for number in range(24):
        assert chat(dynkv.endpoint, "tiny", f"Hello {number}")
        time.sleep(0.5)


@contextmanager
def _kept_full(path: Path) -> Iterator[None]:
    """Fill the disk, and again whatever becomes free, until the block ends."""
    over = threading.Event()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)

    def fill() -> None:
        while not over.is_set():
            try:
                os.write(fd, b"\0" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                time.sleep(0.001)

    filler = threading.Thread(target=fill)
    filler.start()
    try:
        time.sleep(1.0)  # this takes 0.1 s
        yield
    finally:
        over.set()
        filler.join()
        os.close(fd)
        path.unlink()
