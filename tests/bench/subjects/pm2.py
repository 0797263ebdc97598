"""pm2. Source of the settings: pm2.keymetrics.io, "Ecosystem File" and "Restart Strategies"."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.jobs import STOP_TIMEOUT_S, Job

from .base import Subject


class Pm2(Subject):
    name = "pm2"
    settings = (
        "fork mode, `interpreter: none`, `restart_delay: 0`, `min_uptime: 0`, `max_restarts: 1000000`, `treekill`, "
        f"`kill_timeout: {STOP_TIMEOUT_S * 1000}`, `vizion`, `pmx` and `automation` off"
    )

    def write(self, jobs: Sequence[Job]) -> None:
        apps = [
            {
                "name": job.name,
                "script": job.argv[0],
                "args": list(job.argv[1:]),
                "interpreter": "none",
                "exec_mode": "fork",
                "autorestart": True,
                "restart_delay": 0,
                "min_uptime": 0,
                "max_restarts": 1_000_000,
                "kill_timeout": STOP_TIMEOUT_S * 1000,
                "treekill": True,
                "vizion": False,
                "pmx": False,
                "automation": False,
                "out_file": str(self.directory / f"{job.name}.log"),
                "error_file": str(self.directory / f"{job.name}.err"),
            }
            for job in jobs
        ]
        (self.directory / "ecosystem.json").write_text(json.dumps({"apps": apps}))

    def start(self) -> None:
        self._pm2("start", str(self.directory / "ecosystem.json"))

    def status(self) -> None:
        self._pm2("list")

    def stop(self) -> None:
        self._pm2("kill")

    def pid(self) -> int:
        return int((self.directory / "home" / "pm2.pid").read_text())

    def version(self) -> str:
        node = self.run("node", "--version").strip()
        package = self.peers.npm / "node_modules" / "pm2" / "package.json"
        return f"{json.loads(package.read_text())['version']} on node {node}"

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "PM2_HOME": str(self.directory / "home"),
            "PM2_DISABLE_VERSION_CHECK": "true",
            "PATH": self.peers.path,
        }

    def _pm2(self, *words: str) -> str:
        return self.run(str(self.peers.npm / "node_modules" / ".bin" / "pm2"), *words)
