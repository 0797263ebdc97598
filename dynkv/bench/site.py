"""Bringing variants up and down and reading their counters, with the commands that a person would use."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dynkv.bench.counters import NAMES
from dynkv.children.output import tail
from dynkv.errors import DynkvError
from dynkv.metrics.whole import OLDEST_S
from dynkv.probes.text import Samples, read

_METRICS_S = 30.0
_STEADY_S = 10.0
_SAID_LINES = 40
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotMeasured(DynkvError):
    """A variant did not come up, or could not be loaded; the run continues without it."""


class Site:
    """Measures one deployment of this name at a time; the output of its commands goes into `folder`."""

    def __init__(self, name: str, folder: Path, timeout_s: float | None, environ: Mapping[str, str]) -> None:
        """`environ` is the environment of its commands."""
        self.name = name
        self.folder = folder
        self._timeout_s = timeout_s
        self._environ = environ

    def bring_up(self, words: Sequence[str], log: str) -> None:
        """Return when it answers. Raises NotMeasured with the reason, and then leaves nothing running."""
        timeout = [] if self._timeout_s is None else ["--timeout", str(self._timeout_s)]
        command = [*self._dynkv("up"), *words, "--name", self.name, *timeout]
        if self._run(command, log):
            raise NotMeasured(_reason(self._log(log)), where=str(self._log(log)))

    def take_down(self, log: str) -> None:
        """Return when nothing of it runs; Ctrl-C takes effect only then."""
        with _later():
            self._run([*self._dynkv("down"), self.name], log)

    def status(self, name: str = "") -> dict[str, Any] | None:
        """The output of `dynkv status --json`; None if there is no such deployment."""
        done = subprocess.run(
            [*self._dynkv("status"), name or self.name, "--json"], env=self._environ, capture_output=True, check=False
        )
        try:
            found = json.loads(done.stdout)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "units" in found else None

    def counters(self, url: str) -> Samples:
        """The units' counters. Raises NotMeasured."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_METRICS_S)
        try:
            connection.request("GET", parts.path)
            return read(connection.getresponse().read().decode(errors="replace"), NAMES)
        except (OSError, http.client.HTTPException) as error:
            raise NotMeasured(f"{url} cannot be read: {error}") from None
        finally:
            connection.close()

    def counters_at_rest(self, url: str) -> Samples:
        """The counters after a load, once two looks agree, since units count some of it a moment later.

        Looks are far enough apart that the second cannot date from the load.
        """
        before, until = self.counters(url), time.monotonic() + _STEADY_S
        while time.monotonic() < until:
            time.sleep(OLDEST_S)
            if (now := self.counters(url)) == before:
                break
            before = now
        return before

    def _run(self, command: Sequence[str], log: str) -> int:
        """Run a command; returns its exit code. It has its own session, so that this process decides what Ctrl-C
        means."""
        path = self._log(log)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            return process.wait()
        finally:
            if process.poll() is None:  # `up` takes down what it has begun, and must not be interrupted
                with _later():
                    process.terminate()
                    process.wait()

    def _dynkv(self, verb: str) -> list[str]:
        return [sys.executable, "-P", "-m", "dynkv", verb]

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


@contextmanager
def _later() -> Iterator[None]:
    """Delay signals that would end this program until cleaning up is done."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda it, _: came.append(it)) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if any(before[signal.Signals(it)] is not signal.SIG_IGN for it in came):
        raise KeyboardInterrupt


def _reason(log: Path) -> str:
    """The last error that `up` reports, without its details."""
    said = tail(log, _SAID_LINES)
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return errors[-1] if errors else (said[-1] if said else "it did not come up")
