"""dynkv itself, with a profile that has only custom units."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from bench.install import ROOT
from bench.jobs import STOP_TIMEOUT_S, Job
from bench.processes import RUN_MARK

from .base import Subject


class Dynkv(Subject):
    name = "dynkv"
    settings = "`topology: none`, `restart: {backoff_initial_s: 0, max_restarts: 1000000}`"

    def write(self, jobs: Sequence[Job]) -> None:
        profile = {
            "topology": "none",
            "restart": {"backoff_initial_s": 0, "max_restarts": 1_000_000},
            "units": [
                {
                    "name": job.name,
                    "argv": list(job.argv),
                    "env": {RUN_MARK: self.token},
                    "stop_timeout_s": STOP_TIMEOUT_S,
                }
                for job in jobs
            ],
        }
        # JSON is YAML
        (self.directory / "bench.yaml").write_text(json.dumps(profile))

    def start(self) -> None:
        self._dynkv("up", str(self.directory / "bench.yaml"), "--timeout", "170")

    def status(self) -> None:
        self._dynkv("status")

    def stop(self) -> None:
        self._dynkv("down")

    def pid(self) -> int:
        return int(json.loads(self._dynkv("status", "--json"))["supervisor"]["pid"])

    def version(self) -> str:
        from dynkv import __version__

        return __version__

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "DYNKV_HOME": str(self.directory / "home"), "PYTHONPATH": str(ROOT)}

    def _dynkv(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "dynkv", *words)
