"""What every supervisor can be asked to do."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.install import Peers
from bench.jobs import Job
from bench.processes import RUN_MARK, wait_until_gone

COMMAND_TIMEOUT_S = 180.0
_OF_THE_PERSON = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


class SubjectError(Exception):
    """A supervisor's command failed, or took too long."""

    def __init__(self, name: str, words: Sequence[str], outcome: str, said: str) -> None:
        super().__init__(f"{name}: `{' '.join(words)}` {outcome}: {' '.join(said.split())[-300:]}")


class Subject(ABC):
    """One supervisor with its configuration in a directory of its own. Everything that it starts carries `token`."""

    name: ClassVar[str]
    settings: ClassVar[str]
    """What was set, in the words of its own configuration, for the table."""

    def __init__(self, directory: Path, token: str, peers: Peers) -> None:
        self.directory = directory
        self.token = token
        self.peers = peers

    @abstractmethod
    def write(self, jobs: Sequence[Job]) -> None:
        """Write the configuration."""

    @abstractmethod
    def start(self) -> None:
        """The command that starts the supervisor with all its jobs, to its return. It may be given again."""

    @abstractmethod
    def status(self) -> None:
        """The command that a person gives to see all jobs."""

    @abstractmethod
    def stop(self) -> None:
        """The command that ends all jobs and the supervisor, to its return."""

    @abstractmethod
    def pid(self) -> int:
        """The supervisor's own process."""

    @abstractmethod
    def version(self) -> str: ...

    def environment(self) -> dict[str, str]:
        """This one's, except that Python keeps the bytecode of what it imports, as an installation has it."""
        env = {name: value for name, value in os.environ.items() if name not in _OF_THE_PERSON}
        return {**env, RUN_MARK: self.token}

    def run(self, *words: str) -> str:
        """One command to its end; what it said. A file takes its output: a pipe would stay open in a daemon."""
        output = self.directory / "said"
        with output.open("wb") as out:
            process = subprocess.Popen(
                words,
                env=self.environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            # subprocess's own time-out looks each 50 ms, which would be half of what a status command takes
            if wait_until_gone([process.pid], COMMAND_TIMEOUT_S):
                process.kill()
                outcome = f"took longer than {COMMAND_TIMEOUT_S:g} s"
            else:
                outcome = f"ended with {process.wait()}"
            code = process.wait()
        said = output.read_text(errors="replace")
        if code != 0:
            words = (Path(words[0]).name, *(word.replace(str(self.directory), "…") for word in words[1:]))
            raise SubjectError(self.name, words, outcome, said.replace(str(self.directory), "…"))
        return said
