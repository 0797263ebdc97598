"""Talking to a supervisor through its socket. On http.client, which costs a command far less than httpx."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dynkv.errors import DynkvError, UsageError
from dynkv.supervisor.events import Event
from dynkv.supervisor.status import DeploymentStatus


class SupervisorGone(DynkvError):
    """Nothing answers at the socket."""

    exit_code = 3

    def __init__(self, socket_path: Path, why: str) -> None:
        hint = "it may be on its way up or down: try again in a moment"
        super().__init__(f"the supervisor does not answer: {why}", where=str(socket_path), hint=hint)


class SupervisorSilent(SupervisorGone):
    """It is there, and did not answer in time: stopped by a signal, or stuck."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Every call raises SupervisorGone if there is no supervisor at the other end."""

    def __init__(self, socket_path: Path, timeout_s: float = 10.0) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s

    def status(self) -> DeploymentStatus:
        return msgspec.json.decode(self._exchange("GET", "/v1/status"), type=DeploymentStatus)

    def down(self) -> None:
        self._exchange("POST", "/v1/down")

    def ask_unit(self, unit: str, verb: str) -> None:
        """`verb` is start, stop or restart; raises UsageError for an unknown unit."""
        self._exchange("POST", f"/v1/units/{unit}/{verb}")

    def events(self, after_seq: int = 0) -> Iterator[Event]:
        """Remembered events after `after_seq`, then new ones until the supervisor ends."""
        connection = _UnixConnection(self._path, None)
        try:
            connection.request("GET", "/v1/events", headers={"Last-Event-ID": str(after_seq)})
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line[6:], type=Event)
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorGone(self._path, str(error)) from None
        finally:
            connection.close()

    def _exchange(self, method: str, path: str) -> bytes:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
        except TimeoutError:
            raise SupervisorSilent(self._path, f"not within {self._timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorGone(self._path, str(error)) from None
        finally:
            connection.close()
        if response.status >= 400:
            kind = UsageError if response.status == 404 else DynkvError
            raise kind(json.loads(body).get("error", f"{path} answered {response.status}"))
        return body
