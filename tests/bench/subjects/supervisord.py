"""supervisord 4. Source of the settings: supervisord.org, "Configuration File"."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bench.jobs import STOP_TIMEOUT_S, Job

from .base import Subject

_HEAD = """\
[supervisord]
logfile={directory}/supervisord.log
pidfile={directory}/supervisord.pid
childlogdir={directory}
minfds=4096
[unix_http_server]
file={directory}/supervisord.sock
[supervisorctl]
serverurl=unix://{directory}/supervisord.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
_PROGRAM = """\
[program:{name}]
command={command}
autostart=true
autorestart=true
startsecs=0
startretries=1000000
stopasgroup=true
killasgroup=true
stopwaitsecs={stop_timeout_s}
redirect_stderr=true
stdout_logfile={directory}/{name}.log
stdout_logfile_maxbytes=100MB
stdout_logfile_backups=3
"""


class Supervisord(Subject):
    name = "supervisord"
    settings = (
        "`startsecs=0`, `autorestart=true`, `stopasgroup=true`, `killasgroup=true`, `minfds=4096`, "
        "log files of 100 MB, 3 kept"
    )

    def write(self, jobs: Sequence[Job]) -> None:
        programs = [
            _PROGRAM.format(
                name=job.name,
                command=shlex.join(job.argv).replace("%", "%%"),
                stop_timeout_s=STOP_TIMEOUT_S,
                directory=self.directory,
            )
            for job in jobs
        ]
        (self.directory / "supervisord.conf").write_text(_HEAD.format(directory=self.directory) + "".join(programs))

    def start(self) -> None:
        self._command("supervisord")

    def status(self) -> None:
        self._command("supervisorctl", "status")

    def stop(self) -> None:
        self._command("supervisorctl", "shutdown")

    def pid(self) -> int:
        return int((self.directory / "supervisord.pid").read_text())

    def version(self) -> str:
        return self.run(str(self.peers.python / "bin" / "supervisord"), "--version").strip()

    def _command(self, name: str, *words: str) -> str:
        config = str(self.directory / "supervisord.conf")
        return self.run(str(self.peers.python / "bin" / name), "-c", config, *words)
