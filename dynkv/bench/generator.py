"""The load generator's process, which all rounds of a run share."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from dynkv.bench.site import NotMeasured
from dynkv.instack import script

_ANSWER_BYTES = 64 * 1024
_END_S = 5.0


class Generator:
    """A load generator in one interpreter; it ends with the block that uses it, whatever it is doing.

    It has its own session, so that Ctrl-C does not interrupt it within a round that then counts.
    """

    def __init__(self, python: str, program: str, env: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._command = [python, "-P", script("bench_load"), program]
        self._env = {**os.environ, **env}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it; it imports meanwhile. Raises NotMeasured."""
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    env=self._env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise NotMeasured(f"{self._command[0]} cannot be run: {error.strerror}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S if error is None else 0)
        with suppress(ProcessLookupError):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run(self, arguments: Sequence[str], timeout_s: float) -> None:
        """Run it once, to the end. Raises NotMeasured if it fails or takes longer; it cannot be used afterwards."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise NotMeasured("the load generator does not run")
        try:
            process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise NotMeasured("the load generator has ended", where=str(self._log)) from None
        if not select.select([process.stdout], [], [], timeout_s)[0]:
            raise NotMeasured(f"a round was not finished after {timeout_s:g} s", where=str(self._log))
        answer = process.stdout.readline(_ANSWER_BYTES)
        if answer != b"\n":
            said = answer.decode(errors="replace").strip() or "it has ended"
            raise NotMeasured(f"the load generator failed: {said}", where=str(self._log))
