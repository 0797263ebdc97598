"""One etcd for tests that only read and write it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    with etcd_in(tmp_path_factory.mktemp("etcd"), f"http://127.0.0.1:{free_port()}") as client:
        yield client


@contextmanager
def etcd_in(directory: Path, client: str, *options: str) -> Iterator[str]:
    """An etcd that listens at `client`; yields that address."""
    peer = f"http://127.0.0.1:{free_port()}"
    urls = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    urls += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
    with (directory / "log").open("wb") as log:
        command = [program("etcd", "etcd-server"), f"--data-dir={directory / 'data'}", *urls, *options]
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
