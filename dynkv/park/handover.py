"""A command's order to a process to become a supervisor. Its content goes through memory, never a file.

The process is the parker, or one that was started ahead.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from dynkv.documents import decoded, encoded
from dynkv.host.descriptors import unnamed_file
from dynkv.owned import is_own_peer
from dynkv.short_paths import address

_FDS_MAX = 253
"""Most descriptors in one message. Source: unix(7), SCM_MAX_FD."""
_TAKEN = b"taken"
_ANSWER_BYTES = 4096
_PATIENCE_S = 5.0
_PAUSE_S = 0.05


class Becoming(Struct, frozen=True):
    """The program that a process should become, without descriptors, whose numbers differ there."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    deployment: str

    def command(self, plan: int, notify: int, keep: Iterable[int]) -> list[str]:
        """With those descriptors, as they are numbered where it runs."""
        options = ["--plan-fd", str(plan), "--notify-fd", str(notify)]
        return [*self.argv, *options, "--keep-fds", ",".join(map(str, keep))]


class Descriptors(Struct, frozen=True):
    plan: int
    notify: int
    log: int
    claims: tuple[int, ...]

    def all(self) -> list[int]:
        return [self.plan, self.notify, self.log, *self.claims]


def hand_over(path: Path, becoming: Becoming, descriptors: Descriptors, pid: int) -> str:
    """Send the order to the parker; returns why it was refused, or an empty text if that process is about to become the
    supervisor."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection, address(path) as short:
            connection.settimeout(_PATIENCE_S)
            _connect(connection, short)
            if not is_own_peer(connection) or _peer(connection) != pid:
                return "another process answers at its socket"
            return give(connection, becoming, descriptors, _PATIENCE_S, "the parker")
    except OSError as error:
        return _unanswered("the parker", error)


def give(
    connection: socket.socket, becoming: Becoming, descriptors: Descriptors, timeout_s: float | None, who: str
) -> str:
    """Send the order; returns why it was refused, or an empty text if `who` at the other end becomes the supervisor.

    Becoming it closes the other end. A process that fails to says why after it has taken the order.
    """
    try:
        document = unnamed_file(encoded(becoming), Path(becoming.cwd))
    except OSError as error:
        return f"{who} cannot be told its order: {error.strerror}"
    try:
        sent = [document, *descriptors.all()]
        if len(sent) > _FDS_MAX:
            return f"{who} cannot be given so many ports"
        connection.settimeout(timeout_s)
        socket.send_fds(connection, [b"become"], sent)
        answer = connection.recv(_ANSWER_BYTES)
    except OSError as error:
        return _unanswered(who, error)
    finally:
        os.close(document)
    return _failure(connection) if answer == _TAKEN else answer.decode(errors="replace") or f"{who} has ended"


def _failure(connection: socket.socket) -> str:
    """Why the process has not become the supervisor after all; empty if it has, or if it died, which its report, or the
    lack of one, tells."""
    try:
        return connection.recv(_ANSWER_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _unanswered(who: str, error: OSError) -> str:
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return f"{who} has ended"
    return f"{who} does not answer: {error.strerror or error}"


def _connect(connection: socket.socket, path: str) -> None:
    """Connect. The parker begins to listen a moment after the supervisor that it was has ended. Raises OSError."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)


def awaited(fd: int) -> list[str] | None:
    """Wait for the order. Returns the supervisor's command line; None if the order never comes.

    From then on this process has the supervisor's working directory, and writes to its log.
    """
    with socket.socket(fileno=fd) as connection:
        order = receive(connection, patience_s=None)
        if order is None:
            return None
        becoming, given = order
        os.chdir(becoming.cwd)
        for stream in (1, 2):
            os.dup2(given.log, stream)
        os.close(given.log)
        return becoming.command(given.plan, given.notify, given.claims) if answer(connection) else None


def receive(connection: socket.socket, patience_s: float | None = _PATIENCE_S) -> tuple[Becoming, Descriptors] | None:
    """The order; None if it is not one, and then its descriptors are closed."""
    connection.settimeout(patience_s)
    fds: list[int] = []
    try:
        if not is_own_peer(connection):
            return None
        _, fds, _, _ = socket.recv_fds(connection, 64, _FDS_MAX)
        document, plan, notify, log, *claims = fds
        with os.fdopen(os.dup(document), "rb") as file:
            file.seek(0)
            becoming = decoded(file.read(), Becoming)
        os.close(document)
        return becoming, Descriptors(plan, notify, log, tuple(claims))
    except (OSError, ValueError, msgspec.MsgspecError):
        for fd in fds:
            with suppress(OSError):
                os.close(fd)
        return None


def answer(connection: socket.socket, why_not: str = "") -> bool:
    """Send the answer; whether it was received."""
    try:
        connection.send(why_not.encode(errors="replace")[:_ANSWER_BYTES] or _TAKEN)
    except OSError:
        return False
    return True


def _peer(connection: socket.socket) -> int:
    credentials = struct.Struct("iII")  # pid, uid, gid
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return int(credentials.unpack(found)[0])
