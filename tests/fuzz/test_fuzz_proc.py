"""The contents of /proc: names with newlines and parentheses, truncated lines, anything else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, bounded, damaged, fuzz, soup

from dynkv.host import cgroups, processes, sockets
from dynkv.host.described import described

STAT = b"7 (a) b\n) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 12345 1000 100 18446744073709551615 0 0 0"
STATUS = b"Name:\ta\\nb\nUid:\t1000\t1000\t1000\t1000\nGid:\t1\t1\t1\t1\n"
IO = b"rchar: 1\nwchar: 2\nread_bytes: 3\n"
MAPS = b"7f00-7f01 r--p 00000000 08:01 12 /a b\\040c (deleted)\n7f00-7f01 r--p 00000000 00:00 0\n"
TCP = b"  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 1000 0 4711 1 0 100\n"
CGROUP = b"0::/a/b\n4:memory,cpu:/a:b\n1:name=systemd:/\n"
MOUNTS = (
    b"30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 c rw\n31 24 0:27 /x\\040y /m\\134 rw - cgroup c rw,memory\n"
)
STAT_OF_MEMORY = b"inactive_file 1\nactive_file 2\ntotal_inactive_file x\n"
ALL = [STAT, STATUS, IO, MAPS, TCP, CGROUP, MOUNTS, STAT_OF_MEMORY, b"max 100000\n", b"max\n", b"7\n", b"A=b\0C\0=d\0"]
NOISE = [b"(", b")", b"\n", b"\0", b" ", b": ", b"9" * 5000, b"-1", b"\xff", "²".encode(), b"S", b"Uid:"]


@fuzz
@given(st.sampled_from(ALL).flatmap(damaged) | soup([*ALL, *NOISE]) | BYTES)
@example(b"7 (" + b")" * 100_000)
@example(b"7 (a) S " + b"9" * 5000 + b" 1" * 30)
@example(b"Uid:")
@example(TCP.replace(b"1000", b"9" * 5000))
@example(b"9" * 5000)
@example(CGROUP + MOUNTS + b"9" * 5000 + b" 1")
@example(CGROUP + MOUNTS + b"inactive_file " + b"9" * 5000)
@example(b"a")
@example(b"30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n0::/\nmax " + b"9" * 5000)
def test_whatever_is_read(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch, bounded():
        for module in (processes, sockets, cgroups):
            patch.setattr(module, "read_file", lambda path, max_bytes=0: content)
        found = processes.read_process(7)
        assert found is None or found.pid == 7
        processes.environment_of(7)
        processes.command_line(7)
        list(processes.mapped_files(7))
        processes.effective_user(7)
        processes.own_children()
        if found:
            processes.resident_bytes([found])
            processes.bytes_read([found])
        described(7)
        sockets.listening_ports()
        for is_v2 in (True, False):
            list(cgroups._rooms("/a", is_v2=is_v2))
        cgroups._cpu_max("/a")
        cgroups._cfs_quota("/a")
        for controller in ("memory", "cpu"):
            group = cgroups.hierarchy(controller)
            cgroups.memory_left_bytes(group)
            cgroups.cpu_quota(group)
