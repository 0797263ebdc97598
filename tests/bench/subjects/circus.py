"""circus. Source of the settings: circus.readthedocs.io, "Configuration"."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bench.jobs import STOP_TIMEOUT_S, Job
from bench.processes import is_alive, marked
from dynkv.host.processes import command_line

from .base import Subject, SubjectError

_CHECK_DELAY_S = 0.5
_HEAD = """\
[circus]
check_delay = {check_delay_s}
endpoint = ipc://{directory}/endpoint
pubsub_endpoint = ipc://{directory}/pubsub
statsd = False
logoutput = {directory}/circusd.log
loglevel = WARNING
"""
_WATCHER = """\
[watcher:{name}]
cmd = {command}
copy_env = True
numprocesses = 1
warmup_delay = 0
max_retry = -1
graceful_timeout = {stop_timeout_s}
stop_children = True
stdout_stream.class = FileStream
stdout_stream.filename = {directory}/{name}.log
stdout_stream.max_bytes = 100000000
stdout_stream.backup_count = 3
"""


class Circus(Subject):
    name = "circus"
    settings = (
        f"`check_delay = {_CHECK_DELAY_S}` (5 by default; shorter restarts sooner and costs more CPU), "
        "`max_retry = -1`, `copy_env`, `stop_children`, `warmup_delay = 0`, `statsd = False`, "
        "log files of 100 MB, 3 kept"
    )

    def write(self, jobs: Sequence[Job]) -> None:
        watchers = [
            _WATCHER.format(
                name=job.name, command=shlex.join(job.argv), stop_timeout_s=STOP_TIMEOUT_S, directory=self.directory
            )
            for job in jobs
        ]
        head = _HEAD.format(directory=self.directory, check_delay_s=_CHECK_DELAY_S)
        (self.directory / "circus.ini").write_text(head + "".join(watchers))

    def start(self) -> None:
        self.run(str(self.peers.python / "bin" / "circusd"), "--daemon", str(self.directory / "circus.ini"))

    def status(self) -> None:
        self._ctl("status")

    def stop(self) -> None:
        self._ctl("quit", "--waiting")

    def pid(self) -> int:
        """Found by search, not read: with a stale pid file, circusd 0.19 sometimes exits at once."""
        found = [pid for pid in marked(self.token) if b"circusd" in command_line(pid) and is_alive(pid)]
        if len(found) != 1:
            raise SubjectError(self.name, ["circusd"], f"runs {len(found)} times", "")
        return found[0]

    def version(self) -> str:
        return self.run(str(self.peers.python / "bin" / "circusd"), "--version").strip()

    def _ctl(self, *words: str) -> str:
        ctl = str(self.peers.python / "bin" / "circusctl")
        return self.run(ctl, "--timeout", "60", "--endpoint", f"ipc://{self.directory}/endpoint", *words)
