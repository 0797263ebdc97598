"""The client for a supervisor's socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from dynkv.control.deadline import Deadline
from dynkv.control.exchange import exchange, opened, receive_head
from dynkv.documents import decoded
from dynkv.errors import DynkvError, UsageError
from dynkv.supervisor.status import DeploymentStatus

if TYPE_CHECKING:
    from dynkv.supervisor.events import Event

SHOWS_UNITS = "`dynkv status` shows the units and how they are"
T = TypeVar("T")
_NOT_READ = (msgspec.MsgspecError, ValueError, RecursionError)
_LEAST_S = 0.5
"""Shortest deadline in seconds: even with none left, a person wants to know the current state."""


class SupervisorGone(DynkvError):
    """Nothing answers at the socket."""

    exit_code = 3

    def __init__(self, socket_path: Path, why: str) -> None:
        hint = "it may be starting or stopping: try again in a moment"
        super().__init__(f"the supervisor does not answer: {why}", where=str(socket_path), hint=hint)


class SupervisorSilent(SupervisorGone):
    """The supervisor exists, but did not answer in time: it is suspended by a signal, or stuck."""


class SupervisorUnclear(DynkvError):
    """Something answers at the socket, but not like a supervisor of this version."""

    def __init__(self, socket_path: Path) -> None:
        hint = "it may be of another version of dynkv; use that one, or `dynkv down` to end it"
        super().__init__("cannot understand the supervisor's answer", where=str(socket_path), hint=hint)


class Client:
    """A client. Every call raises SupervisorGone if no supervisor answers, SupervisorUnclear if something else does.

    A request may take `timeout_s`, and at most what is left of `deadline`.
    """

    def __init__(self, socket_path: Path, timeout_s: float = 10.0, deadline: Deadline | None = None) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s
        self._deadline = deadline or Deadline()

    def status(self) -> DeploymentStatus:
        return self._read(self._exchange("GET", "/v1/status"), DeploymentStatus)

    def metrics(self) -> str:
        """The metrics in Prometheus' text format."""
        return self._exchange("GET", "/metrics").decode(errors="replace")

    def down(self) -> None:
        self._exchange("POST", "/v1/down")

    def release(self) -> None:
        """Let the supervisor end, but none of the units."""
        self._exchange("POST", "/v1/release")

    def ask_unit(self, unit: str, verb: str) -> None:
        """Request start, stop or restart (`verb`). Raises UsageError for an unknown unit."""
        self._exchange("POST", f"/v1/units/{quote(unit, safe='', errors='replace')}/{verb}")

    def scale(self, role: str, replicas: int) -> None:
        """Set the number of units of a role. Raises UsageError for an unknown role, or for more than the plan has."""
        self._exchange("POST", f"/v1/roles/{quote(role, safe='', errors='replace')}/scale/{replicas}")

    def events(self, after_seq: int = 0) -> Iterator[Event]:
        """Remembered events after `after_seq`, then new ones until the supervisor ends."""
        from dynkv.supervisor.events import Event  # imports anyio, which no other call needs

        try:
            with opened(self._path, "GET", "/v1/events", {"Last-Event-ID": str(after_seq)}) as stream:
                receive_head(stream)
                for line in stream:
                    if line.startswith(b"data: ") and line.endswith(
                        b"\n"
                    ):  # otherwise the supervisor died while it was writing
                        yield self._read(line[6:], Event)
        except OSError as error:
            raise SupervisorGone(self._path, str(error)) from None

    def _exchange(self, method: str, path: str) -> bytes:
        timeout_s = max(_LEAST_S, self._deadline.cut(self._timeout_s))
        try:
            status, body = exchange(self._path, timeout_s, method, path)
        except TimeoutError:
            raise SupervisorSilent(self._path, f"no answer within {timeout_s:.2g} s") from None
        except OSError as error:
            raise SupervisorGone(self._path, str(error)) from None
        if status >= 400:
            kind = UsageError if status in (400, 404) else DynkvError
            why = self._read(body, dict[str, str]).get("error", f"{path} answered {status}")
            raise kind(why, hint=SHOWS_UNITS)
        return body

    def _read(self, body: bytes, kind: type[T]) -> T:
        try:
            return decoded(body, kind)
        except _NOT_READ:
            raise SupervisorUnclear(self._path) from None
