"""What a deployment has left on the host, according to /proc and the file system, not to dynkv."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")


class Sightings:
    """Every process and port that a deployment was seen with, to look for at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports: set[int] = set()
        self._sessions: set[int] = set()
        self._processes: set[psutil.Process] = set()
        self._shared_memory_before = shared_memory()

    def note(self, pids: Iterable[int], ports: Iterable[int]) -> None:
        """Remember these processes with all their descendants. A pid is identified by its start time."""
        self.ports.update(ports)
        for pid in pids:
            self._sessions.add(pid)
            try:
                process = psutil.Process(pid)
                self._processes |= {process, *process.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue

    def survivors(self) -> list[psutil.Process]:
        """Living processes that are marked, were seen, or are in a session of one that was seen."""
        mine = (process for process in psutil.process_iter() if self._is_of_deployment(process))
        return list({*mine, *(process for process in self._processes if lives(process))})

    def left_behind(self) -> list[str]:
        """All that is still there, in words; empty after a clean end."""
        processes = [f"process {process.pid}: {_words(process)}" for process in self.survivors()]
        return [*processes, *self._ports(), *self._leaked_shared_memory(), *self._files()]

    def _is_of_deployment(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid() or not lives(process):
            return False
        try:
            session = os.getsid(process.pid)
        except ProcessLookupError:
            return False
        return session in self._sessions or home_of(process.pid) == str(self.home)

    def _ports(self) -> Iterator[str]:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port in self.ports:
                # another deployment on this host may have got a port that became free
                holder = home_of(connection.pid) if connection.pid else None
                if holder in (None, str(self.home)):
                    yield f"port {connection.laddr.port} is held by pid {connection.pid}"

    def _leaked_shared_memory(self) -> Iterator[str]:
        """New shared memory that nobody has mapped: programs that run at the same time use shared memory too."""
        new = shared_memory() - self._shared_memory_before
        used = _mapped_files() if new else set()
        return (f"shared memory {path}" for path in sorted(new - used))

    def _files(self) -> Iterator[str]:
        for directory in self.home.iterdir() if self.home.is_dir() else ():
            rest = [directory / "control.sock", directory / "discovery"]
            tmp = directory / "tmp"
            for path in (*rest, *(tmp.iterdir() if tmp.is_dir() else ())):
                if path.exists():
                    yield f"file {path}"


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it is gone or cannot be read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)


def home_of(pid: int) -> str | None:
    """The DYNKV_HOME in the marks of a process."""
    return environment(pid).get("DYNKV_HOME")


def shared_memory() -> set[str]:
    return {str(path) for path in SHARED_MEMORY.iterdir()}


def _mapped_files() -> set[str]:
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            lines = maps.read_text(errors="replace").splitlines()
        except OSError:
            continue
        found |= {fields[5] for line in lines if len(fields := line.split(maxsplit=5)) == 6}
    return found


def lives(process: psutil.Process) -> bool:
    """Whether it lives. A zombie does not: its parent, pid 1 for an orphan, may reap it late."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120] or process.name()
    except psutil.Error:
        return "gone while it was looked at"
