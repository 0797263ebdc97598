"""One etcd for the tests that only talk to it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian import program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    directory = tmp_path_factory.mktemp("etcd")
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    urls = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    urls += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
    with (directory / "log").open("wb") as log:
        command = [program("etcd"), f"--data-dir={directory / 'data'}", *urls]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_it_listens(int(client.rpartition(":")[2]), directory / "log")
        yield client
    finally:
        server.kill()
        server.wait()


def _until_it_listens(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
