"""Talking to a supervisor through its socket."""

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
"""Whoever gives no time wants to know how it is now."""


class SupervisorGone(DynkvError):
    """Nothing answers at the socket."""

    exit_code = 3

    def __init__(self, socket_path: Path, why: str) -> None:
        hint = "it may be on its way up or down: try again in a moment"
        super().__init__(f"the supervisor does not answer: {why}", where=str(socket_path), hint=hint)


class SupervisorSilent(SupervisorGone):
    """It is there, and did not answer in time: stopped by a signal, or stuck."""


class SupervisorUnclear(DynkvError):
    """Something answers at the socket, and not as a supervisor of this version does."""

    def __init__(self, socket_path: Path) -> None:
        hint = "it may be of another version of dynkv; use that one, or `dynkv down` to end it"
        super().__init__("what the supervisor answers cannot be understood", where=str(socket_path), hint=hint)


class Client:
    """Every call raises SupervisorGone if no supervisor is at the other end, SupervisorUnclear if a strange one is.

    A request may take `timeout_s`, and no more than what is left of `deadline`.
    """

    def __init__(self, socket_path: Path, timeout_s: float = 10.0, deadline: Deadline | None = None) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s
        self._deadline = deadline or Deadline()

    def status(self) -> DeploymentStatus:
        return self._read(self._exchange("GET", "/v1/status"), DeploymentStatus)

    def metrics(self) -> str:
        """In Prometheus' text format."""
        return self._exchange("GET", "/metrics").decode(errors="replace")

    def down(self) -> None:
        self._exchange("POST", "/v1/down")

    def release(self) -> None:
        """Let the supervisor end, and nothing else."""
        self._exchange("POST", "/v1/release")

    def ask_unit(self, unit: str, verb: str) -> None:
        """`verb` is start, stop or restart; raises UsageError for an unknown unit."""
        self._exchange("POST", f"/v1/units/{quote(unit, safe='', errors='replace')}/{verb}")

    def scale(self, role: str, replicas: int) -> None:
        """Raises UsageError for a role that there is not, or more than the plan has of it."""
        self._exchange("POST", f"/v1/roles/{quote(role, safe='', errors='replace')}/scale/{replicas}")

    def events(self, after_seq: int = 0) -> Iterator[Event]:
        """Remembered events after `after_seq`, then new ones until the supervisor ends."""
        from dynkv.supervisor.events import Event  # brings anyio, which no other call needs

        try:
            with opened(self._path, "GET", "/v1/events", {"Last-Event-ID": str(after_seq)}) as stream:
                receive_head(stream)
                for line in stream:
                    if line.startswith(b"data: ") and line.endswith(b"\n"):  # else it has died while it wrote
                        yield self._read(line[6:], Event)
        except OSError as error:
            raise SupervisorGone(self._path, str(error)) from None

    def _exchange(self, method: str, path: str) -> bytes:
        timeout_s = max(_LEAST_S, self._deadline.cut(self._timeout_s))
        try:
            status, body = exchange(self._path, timeout_s, method, path)
        except TimeoutError:
            raise SupervisorSilent(self._path, f"not within {timeout_s:.2g} s") from None
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
