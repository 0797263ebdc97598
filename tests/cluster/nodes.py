"""Two machines, as far as the network is concerned: network namespaces joined by a pair of veth."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = ("10.87.0.1", "10.87.0.2")
_CLONE = ("unshare", "--net", "sleep", "infinity")


@dataclass(frozen=True)
class Machine:
    """One network namespace with its own DYNKV_HOME."""

    pid: int
    """The pid of the process that keeps the namespace."""
    address: str
    home: Path
    bound: tuple[str, ...] = ()
    """A command that runs the others, such as `taskset`: two engines on the same CPUs starve each other."""

    def command(self, *words: str) -> list[str]:
        return [*self.bound, "nsenter", "--net", f"--target={self.pid}", *words]

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, "DYNKV_HOME": str(self.home), **(env or {})}
        return subprocess.run(self.command(*words), env=given, capture_output=True, text=True, timeout=timeout)

    def start(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(self.command(*words), stdout=out, stderr=out, start_new_session=True)

    def link(self, state: str) -> None:
        """Set the link to the other machine `up` or `down`."""
        done = self.run("ip", "link", "set", "eth0", state)
        assert done.returncode == 0, done.stderr


@contextmanager
def two_machines(directory: Path) -> Iterator[tuple[Machine, Machine]]:
    """The namespaces disappear with the processes that keep them."""
    keepers = [subprocess.Popen(_CLONE) for _ in ADDRESSES]
    try:
        machines = []
        for keeper, address in zip(keepers, ADDRESSES, strict=True):
            _until_apart(keeper.pid)
            machines.append(Machine(keeper.pid, address, directory / address.rpartition(".")[2]))
        first, second = machines
        pair = ["ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", str(second.pid)]
        subprocess.run(first.command(*pair), check=True)
        for machine in machines:
            machine.home.mkdir(parents=True)
            for words in (["addr", "add", f"{machine.address}/24", "dev", "eth0"], ["link", "set", "lo", "up"]):
                subprocess.run(machine.command("ip", *words), check=True)
            machine.link("up")
        yield first, second
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.wait()


def _until_apart(pid: int) -> None:
    """`unshare` creates the namespace before it executes its command."""
    own = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/ns/net").readlink() == own:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def can_be_had() -> bool:
    return os.geteuid() == 0 and all(map(shutil.which, ("nsenter", "unshare")))
