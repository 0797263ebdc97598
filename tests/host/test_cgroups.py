"""What control groups leave: from trees of real hosts, and from the kernel if this host allows a new group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynkv.host.cgroups import Hierarchy, cpu_quota, hierarchy, memory_left_bytes

GIB = 1024**3
NONE_IN_V1 = "9223372036854771712"
V2 = "40 30 0:35 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "40 30 0:35 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "41 30 0:36 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)
HYBRID = V1 + "42 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
IN_DOCKER_V1 = "40 30 0:35 /docker/4f5e /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"

Host = Callable[[str, str, dict[str, str]], tuple[str, str]]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Writes a host's files: /proc/self/cgroup, /proc/self/mountinfo and those of the groups. Returns the paths of
    /proc and /."""

    def write(cgroup: str, mountinfo: str, files: dict[str, str]) -> tuple[str, str]:
        texts = {"/proc/self/cgroup": cgroup, "/proc/self/mountinfo": mountinfo, **files}
        for path, text in texts.items():
            file = tmp_path / path.removeprefix("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return f"{tmp_path}/proc/self", str(tmp_path)

    return write


def memory(group: str, limit: str, used: int, cached: int = 0, high: str = "max") -> dict[str, str]:
    """A group's files in version 2; half of `cached` is inactive, the other half active."""
    stat = f"anon 1\nfile {cached}\ninactive_file {cached // 2}\nactive_file {cached // 2}\n"
    files = {"max": limit, "high": high, "current": str(used), "stat": stat}
    return {f"{group}/memory.{name}": text + "\n" for name, text in files.items()}


def memory_v1(group: str, limit: str, used: int, cached: int = 0, of_all: str = NONE_IN_V1) -> dict[str, str]:
    stat = f"inactive_file 7\nhierarchical_memory_limit {of_all}\ntotal_inactive_file {cached}\ntotal_active_file 0\n"
    files = {"limit_in_bytes": limit, "usage_in_bytes": str(used), "stat": stat}
    return {f"{group}/memory.{name}": text + "\n" for name, text in files.items()}


ROOT, ROOT_V1 = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"
JOB = f"{ROOT}/system.slice/slurmstepd.scope/job_7"
MEMORY = {
    "no limit": ("0::/\n", V2, {}, None),
    "its own": ("0::/a\n", V2, memory(f"{ROOT}/a", str(8 * GIB), 3 * GIB), 5 * GIB),
    "a cache is given back": ("0::/a\n", V2, memory(f"{ROOT}/a", str(8 * GIB), 7 * GIB, 6 * GIB), 7 * GIB),
    "where it is slowed down": ("0::/a\n", V2, memory(f"{ROOT}/a", "max", GIB, high=str(4 * GIB)), 3 * GIB),
    "its job's": (
        "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0\n",
        V2,
        memory(f"{JOB}/step_0/user/task_0", "max", GIB) | memory(JOB, str(16 * GIB), 4 * GIB),
        12 * GIB,
    ),
    "the least of several": (
        "0::/a/b\n",
        V2,
        memory(f"{ROOT}/a/b", str(8 * GIB), GIB) | memory(f"{ROOT}/a", str(10 * GIB), 9 * GIB),
        GIB,
    ),
    "more is used than it may": ("0::/a\n", V2, memory(f"{ROOT}/a", str(GIB), 2 * GIB), 0),
    "a container's own view": ("0::/\n", V2, memory(ROOT, str(2 * GIB), GIB), GIB),
    "a group that is not seen": ("0::/../other\n", V2, memory(ROOT, str(2 * GIB), GIB), None),
    "version 1": ("4:memory:/a\n", V1, memory_v1(f"{ROOT_V1}/a", str(8 * GIB), 6 * GIB, 2 * GIB), 4 * GIB),
    "version 1 without a limit": ("4:memory:/a\n", V1, memory_v1(f"{ROOT_V1}/a", NONE_IN_V1, GIB), None),
    "version 1, of an ancestor that is not seen": (
        "4:memory:/docker/4f5e\n",
        IN_DOCKER_V1,
        memory_v1(ROOT_V1, NONE_IN_V1, GIB, of_all=str(4 * GIB)),
        3 * GIB,
    ),
    "version 1 in a container": (
        "4:memory:/docker/4f5e\n",
        IN_DOCKER_V1,
        memory_v1(ROOT_V1, str(4 * GIB), GIB),
        3 * GIB,
    ),
    "both": (
        "4:memory:/a\n1:name=systemd:/\n0::/b\n",
        HYBRID,
        memory_v1(f"{ROOT_V1}/a", str(8 * GIB), GIB) | memory(f"{ROOT}/unified/b", str(2 * GIB), GIB),
        7 * GIB,
    ),
    "a space in its name": (
        "0::/my jobs\n",
        V2.replace("/sys/fs/cgroup", r"/sys/fs/c\040group"),
        memory("/sys/fs/c group/my jobs", str(8 * GIB), GIB),
        7 * GIB,
    ),
    "a colon in its name": ("0::/a:b\n", V2, memory(f"{ROOT}/a:b", str(8 * GIB), GIB), 7 * GIB),
    "nothing mounted": ("0::/a\n", "", memory(f"{ROOT}/a", str(8 * GIB), GIB), None),
    "nonsense": ("0::/a\nx\n::\n", V2 + "x - y\n", memory(f"{ROOT}/a", "lots", GIB), None),
}


@pytest.mark.parametrize(("cgroup", "mounts", "files", "left"), MEMORY.values(), ids=MEMORY)
def test_memory(host: Host, cgroup: str, mounts: str, files: dict[str, str], left: int | None) -> None:
    proc, root = host(cgroup, mounts, files)
    assert memory_left_bytes(hierarchy("memory", proc, root)) == left


CPU_V1 = "/sys/fs/cgroup/cpu,cpuacct"
CPUS = {
    "no limit": ("0::/a\n", V2, {f"{ROOT}/a/cpu.max": "max 100000\n"}, None),
    "docker --cpus=2": ("0::/\n", V2, {f"{ROOT}/cpu.max": "200000 100000\n"}, 2.0),
    "of an ancestor": (
        "0::/a/b\n",
        V2,
        {f"{ROOT}/a/b/cpu.max": "max 100000\n", f"{ROOT}/a/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "version 1": (
        "4:cpu,cpuacct:/a\n0::/b\n",
        HYBRID,
        {
            f"{CPU_V1}/a/cpu.cfs_quota_us": "50000\n",
            f"{CPU_V1}/a/cpu.cfs_period_us": "100000\n",
            f"{CPU_V1}/cpu.cfs_quota_us": "-1\n",
            f"{CPU_V1}/cpu.cfs_period_us": "100000\n",
        },
        0.5,
    ),
    "nonsense": ("0::/a\n", V2, {f"{ROOT}/a/cpu.max": "1 0\n"}, None),
}


@pytest.mark.parametrize(("cgroup", "mounts", "files", "quota"), CPUS.values(), ids=CPUS)
def test_cpu_time(host: Host, cgroup: str, mounts: str, files: dict[str, str], quota: float | None) -> None:
    proc, root = host(cgroup, mounts, files)
    assert cpu_quota(hierarchy("cpu", proc, root)) == quota


def test_a_host_that_does_not_tell_sets_no_limit(tmp_path: Path) -> None:
    assert hierarchy("memory", str(tmp_path)) is None
    assert memory_left_bytes(None) is cpu_quota(None) is None


@pytest.fixture
def made() -> Iterator[Callable[[str, dict[str, str]], Hierarchy]]:
    """Makes a group with these limits below this process's own, in the host's real hierarchy of a controller."""
    groups: list[Path] = []

    def make(controller: str, limits: dict[str, str]) -> Hierarchy:
        found = hierarchy(controller)
        if found is None:
            pytest.skip("no control groups are mounted here")
        group = Path(found.directories[0]) / f"dynkv-test-{os.getpid()}"
        try:
            group.mkdir()
            groups.append(group)
            for name, value in limits.items():
                (group / f"{controller}.{name}").write_text(value)
        except OSError as error:
            pytest.skip(f"no control group can be limited here: {error}")
        return Hierarchy(found.is_v2, (str(group), *found.directories))

    yield make
    for group in groups:
        group.rmdir()


def inside(group: Hierarchy, question: str) -> str:
    """The answer that a process in that group gets."""
    enter = f"import os; open({group.directories[0] + '/cgroup.procs'!r}, 'w').write(str(os.getpid()))\n"
    done = subprocess.run([sys.executable, "-c", enter + question], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_kernels_own_limit_of_memory(made: Callable[[str, dict[str, str]], Hierarchy], tmp_path: Path) -> None:
    """A file of 64 MB that was read is in the page cache, and does not reduce the free memory."""
    file = tmp_path / "cached"
    file.write_bytes(bytes(64 * 1024**2))
    found = hierarchy("memory")
    group = made("memory", {"max" if found and found.is_v2 else "limit_in_bytes": str(512 * 1024**2)})
    os.posix_fadvise(fd := os.open(file, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    question = (
        f"data = len(open({str(file)!r}, 'rb').read()); held = bytearray(100 * 1024**2)\n"
        "from dynkv.host.memory import memory_available_bytes; print(memory_available_bytes())"
    )
    left = int(inside(group, question))
    assert 300 * 1024**2 < left < 412 * 1024**2


def test_the_kernels_own_limit_of_cpu_time(made: Callable[[str, dict[str, str]], Hierarchy]) -> None:
    found = hierarchy("cpu")
    limits = {"max": "150000 100000"} if found and found.is_v2 else {"cfs_quota_us": "150000"}
    group = made("cpu", limits)
    assert inside(group, "from dynkv.host.cgroups import cpus_worth; print(cpus_worth(64), cpus_worth(1))") == "2 1"
