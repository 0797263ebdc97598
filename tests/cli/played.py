"""A simulated supervisor: it holds the lock and the socket, and always gives the same answer, or none."""

from __future__ import annotations

import fcntl
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def supervised(home: Path, answer: bytes | None, name: str = "agg") -> Iterator[None]:
    """A deployment whose supervisor is this process, which gives every client the same answer, or none."""
    directory = home / name
    directory.mkdir()
    path = str(directory / "control.sock")
    (directory / "journal.json").write_text(json.dumps({"socket": path, "stopped": False}))
    with (directory / "lock").open("wb") as lock, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        listener.bind(path)
        listener.listen()
        server = threading.Thread(target=answer_all, args=(listener, answer))
        server.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def answer_all(listener: socket.socket, answer: bytes | None) -> None:
    kept = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        kept.append(connection)
        connection.recv(1000)
        if answer is not None:
            connection.sendall(answer)
            connection.close()
    for connection in kept:
        connection.close()
