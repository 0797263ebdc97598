"""Files that others write: read whole, without waiting, and even with no descriptor left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apart import told

from dynkv.host.files import names_in, read_file, read_regular_file

SCRIPT_WITHOUT_DESCRIPTORS = """
import errno, json, os, resource
from concurrent.futures import ThreadPoolExecutor
from dynkv.host.files import names_in, read_file
from dynkv.host.processes import environment_of, own_children, processes, read_process
from dynkv.host.sockets import listening_ports

resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {"A": "1"})
taken = []
with ThreadPoolExecutor(4) as threads:
    list(threads.map(str, range(8)))
    while True:
        try:
            taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
            break
    looks = [
        {
            "child": read_process(child).ppid == os.getpid(),
            "all": {os.getpid(), child} <= {process.pid for process in processes()},
            "own": own_children() == [child],
            "environment": environment_of(child),
            "sockets": isinstance(listening_ports(), frozenset),
        }
        for _ in range(3)
    ]
    together = list(threads.map(lambda _: read_process(child).pid == child, range(200)))
    try:
        os.open("/dev/null", os.O_RDONLY)
        found = "a descriptor"
    except OSError:
        found = "none"
for fd in taken:
    os.close(fd)
os.kill(child, 9)
print(json.dumps({"looks": looks, "together": all(together), "others find": found}))
"""


def test_without_a_descriptor_left_a_process_still_sees_the_host() -> None:
    found = told(SCRIPT_WITHOUT_DESCRIPTORS)
    look = {"child": True, "all": True, "own": True, "environment": {"A": "1"}, "sockets": True}
    assert found == {"looks": [look] * 3, "together": True, "others find": "none"}


def test_a_long_file_is_read_to_its_end_or_for_as_long_as_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"0123456789" * 50_000)
    assert read_file(str(path)) == path.read_bytes()
    assert read_file(str(path), 200_001) == path.read_bytes()[:200_001]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("it")
    (tmp_path / "link").symlink_to("file")
    for name in ("fifo", "directory", "none"):
        with pytest.raises(OSError, match=name):
            read_regular_file(str(tmp_path / name))
    assert read_regular_file(str(tmp_path / "link")) == b"it"


def test_a_directory_that_cannot_be_listed_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert names_in(str(tmp_path)) == ["file"]
    assert names_in(str(tmp_path / "file")) == []
    assert names_in(str(tmp_path / "none")) == []
