"""The interface of every supervisor's adapter."""

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
    """A supervisor's command failed or took too long."""

    def __init__(self, name: str, words: Sequence[str], outcome: str, said: str) -> None:
        super().__init__(f"{name}: `{' '.join(words)}` {outcome}: {' '.join(said.split())[-300:]}")


class Subject(ABC):
    """One supervisor, configured in its own directory. Everything that it starts carries `token`."""

    name: ClassVar[str]
    settings: ClassVar[str]
    """The settings in the words of its own configuration, for the table."""

    def __init__(self, directory: Path, token: str, peers: Peers) -> None:
        self.directory = directory
        self.token = token
        self.peers = peers

    @abstractmethod
    def write(self, jobs: Sequence[Job]) -> None:
        """Write the configuration."""

    @abstractmethod
    def start(self) -> None:
        """Start the supervisor with all its jobs, and wait for the command. May be called again."""

    @abstractmethod
    def status(self) -> None:
        """Run the command that shows all jobs."""

    @abstractmethod
    def stop(self) -> None:
        """Run the command that ends all jobs and the supervisor, and wait for it."""

    @abstractmethod
    def pid(self) -> int:
        """The pid of the supervisor."""

    @abstractmethod
    def version(self) -> str: ...

    def environment(self) -> dict[str, str]:
        """This process's environment, but with Python's bytecode cache, as an installation has it."""
        env = {name: value for name, value in os.environ.items() if name not in _OF_THE_PERSON}
        return {**env, RUN_MARK: self.token}

    def run(self, *words: str) -> str:
        """Run one command to its end, and return its output. The output goes to a file: a daemon would keep a pipe
        open."""
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
            # subprocess's own timeout checks every 50 ms, half of what a status command takes
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
