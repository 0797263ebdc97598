"""The script that tells `lmcache server` of dead workers, with real servers of the installed LMCache."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

SCRIPT = Path(__file__).parents[2] / "dynkv" / "instack" / "release_registration.py"
ENV = {**os.environ, "LMCACHE_TRACK_USAGE": "false", "LMCACHE_DISABLE_BANNER": "1", "PYTHONHASHSEED": "0"}
START_DEADLINE_S = 120.0
GPU_KIND, CPU_KIND = "lmcache_driven", "engine_driven"

WORKER = """
# A worker as far as the server can tell: LMCache's own transfer contexts, and on a CPU both kinds of them. Each
# engine-driven one also stores two chunks.
import signal, sys, torch
from lmcache.v1.multiprocess.custom_types import IPCCacheServerKey
from lmcache.v1.multiprocess.transfer_context.worker_transfer import create_transfer_context
from lmcache.v1.multiprocess.transport.factory import RequestClientFactory

TOKENS, BLOCK = 512, 16
client = RequestClientFactory.create(f"tcp://localhost:{sys.argv[1]}")
for argument in sys.argv[2:]:
    kind, number = argument.split(":")
    kv_caches = {f"layer.{i}": torch.ones(2, TOKENS // BLOCK, 2, BLOCK, 64, dtype=torch.bfloat16) for i in range(2)}
    context = create_transfer_context(kv_caches, instance_id=int(number), req_client=client, mode=kind)
    context.register(kv_caches, "model", 1, 256 // BLOCK, 30.0)
    if kind == "engine_driven":
        first = int(number) % 1_000_000_007
        tokens = tuple(range(first, first + TOKENS))
        key = IPCCacheServerKey("model", 1, 0, tokens, 0, TOKENS, argument)
        stored = context.submit_store(argument, key, kv_caches, [list(range(TOKENS // BLOCK))], None, 256 // BLOCK)
        assert stored.result(30.0), "not stored"
print("registered", flush=True)
signal.pause()
"""

FAILING_SERVER = """
# LMCache's own message queue, with a handler that fails for one id, and none for the other kind of registration.
import signal, sys, zmq
from lmcache.v1.multiprocess.request_handler import HandlerType
from lmcache.v1.multiprocess.transport.zmq_impl.mq import MessageQueueServer

def unregister(instance_id: int) -> None:
    if instance_id == 13:
        raise RuntimeError("unmapping failed")

def get_chunk_size() -> int:
    return 256

server = MessageQueueServer(f"tcp://localhost:{sys.argv[1]}", zmq.Context.instance())
server.add_handler("get_chunk_size", HandlerType.SYNC, get_chunk_size)
if sys.argv[2] == "fails":
    server.add_handler("unregister_kv_cache", HandlerType.SYNC, unregister)
server.start()
print("registered", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Server:
    zmq_port: int
    http_port: int

    def status(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.http_port}/status"
        with urllib.request.urlopen(url, timeout=10.0) as response:
            status: dict[str, Any] = json.load(response)
        return status

    def registered(self) -> set[int]:
        status = self.status()
        return {*status.get("registered_gpu_ids", ()), *status.get("registered_non_cuda_instance_ids", ())}

    def chunks(self) -> int:
        """The number of chunks that it has stored in L1."""
        count: int = self.status()["storage_manager"]["l1_manager"]["total_object_count"]
        return count


@dataclass(frozen=True)
class Ran:
    report: dict[str, Any]
    code: int
    took_s: float


# --- programs ---


@contextmanager
def lmcache_server(log: Path, mode: str) -> Iterator[Server]:
    server = Server(free_port(), free_port())
    words = f"server --host localhost --port {server.zmq_port} --http-host 127.0.0.1 --http-port {server.http_port}"
    words += f" --l1-size-gb 1 --eviction-policy LRU --chunk-size 256 --supported-transfer-mode {mode}"
    argv = [sys.executable, "-c", "from lmcache.cli.main import main; main()", *words.split()]
    with log.open("wb") as output, running(argv, output) as process:
        wait_until_healthy(server, process, log)
        yield server


def wait_until_healthy(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            server.status()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)


@contextmanager
def running(argv: Sequence[str], output: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, killed at the end."""
    with subprocess.Popen(argv, env=ENV, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def announced(code: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A running program that has printed that it has registered."""
    with running([sys.executable, "-c", code, *map(str, arguments)], subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b""
        for line in process.stdout:
            said += line
            if line == b"registered\n":
                break
        else:
            pytest.fail(said.decode()[-2000:])
        yield process


def killed_worker(server: Server, *registrations: tuple[str, int]) -> None:
    """A worker that registers and is killed with SIGKILL."""
    with announced(WORKER, server.zmq_port, *(f"{kind}:{id_}" for kind, id_ in registrations)) as process:
        process.send_signal(signal.SIGKILL)
    for segment in Path("/dev/shm").glob(f"lmcache_kv_{process.pid}_*"):
        segment.unlink()  # on a CPU, a worker with LMCache keeps its KV cache there
    assert {id_ for _, id_ in registrations} <= server.registered()


def run(*arguments: object) -> Ran:
    started = time.monotonic()
    argv = [sys.executable, str(SCRIPT), *map(str, arguments)]
    result = subprocess.run(argv, env=ENV, capture_output=True, text=True, timeout=120.0)
    took_s = time.monotonic() - started
    return Ran(json.loads(result.stdout.splitlines()[-1]), result.returncode, took_s)


def free_port() -> int:
    """A port on which nothing listens, outside the range of outgoing connections."""
    for port in random.sample(range(20500, 32768), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def fresh_ids(count: int) -> list[int]:
    """Ids like LMCache's: 63 random bits."""
    return [random.getrandbits(63) | 1 for _ in range(count)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with both kinds of registration, as for workers on a CPU."""
    with lmcache_server(tmp_path_factory.mktemp("lmcache") / "log", "auto") as started:
        yield started


# --- against lmcache server ---


def test_named_registrations_of_both_kinds_go_and_others_stay(server: Server) -> None:
    gpu, cpu, other_gpu, other_cpu = ids = fresh_ids(4)
    killed_worker(server, *zip((GPU_KIND, CPU_KIND) * 2, ids, strict=True))

    ran = run(server.zmq_port, gpu, cpu)

    assert (ran.report, ran.code) == ({"released": [gpu, cpu], "failed": {}}, 0)
    assert server.registered() & set(ids) == {other_gpu, other_cpu}


def test_what_the_dead_worker_stored_stays(server: Server) -> None:
    (cpu,) = fresh_ids(1)
    before = server.chunks()
    killed_worker(server, (CPU_KIND, cpu))
    assert server.chunks() == before + 2

    assert run(server.zmq_port, cpu).code == 0

    assert cpu not in server.registered()
    assert server.chunks() == before + 2


def test_an_id_that_is_unknown_or_released_already_counts_as_released(server: Server) -> None:
    cpu, unknown = fresh_ids(2)
    killed_worker(server, (CPU_KIND, cpu))
    expected = ({"released": [cpu, unknown], "failed": {}}, 0)

    first = run(server.zmq_port, cpu, unknown)
    second = run(server.zmq_port, cpu, unknown, cpu)

    assert (first.report, first.code) == expected
    assert (second.report, second.code) == expected


def test_a_server_that_serves_one_kind_is_not_waited_for(tmp_path: Path) -> None:
    """As on GPUs by default in 0.5.6: it never answers a request of the other kind."""
    timeout_s = 100.0
    (gpu,) = fresh_ids(1)
    with lmcache_server(tmp_path / "log", GPU_KIND) as server:
        killed_worker(server, (GPU_KIND, gpu))

        ran = run("--timeout-s", timeout_s, server.zmq_port, gpu)

        assert (ran.report, ran.code) == ({"released": [gpu], "failed": {}}, 0)
        assert ran.took_s < timeout_s / 2
        assert server.registered() == set()


# --- against what goes wrong ---


def test_nothing_listens() -> None:
    ran = run(free_port(), 5, 6)

    assert ran.code == 1
    assert ran.report["released"] == []
    assert ran.report["failed"].keys() == {"5", "6"}
    assert "refused" in ran.report["failed"]["5"]


def test_something_listens_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ran = run("--timeout-s", 1, silent.getsockname()[1], 5)

    assert (ran.report["released"], ran.code) == ([], 1)
    assert "did not answer within 1 s" in ran.report["failed"]["5"]


def test_a_server_that_fails_to_unregister_one() -> None:
    port = free_port()
    with announced(FAILING_SERVER, port, "fails"):
        ran = run(port, 12, 13, 14)

    assert (ran.report["released"], ran.code) == ([12, 14], 1)
    assert "its log says why" in ran.report["failed"]["13"]


def test_a_server_that_can_unregister_nothing() -> None:
    port = free_port()
    with announced(FAILING_SERVER, port, "serves-neither"):
        ran = run(port, 12)

    assert (ran.report["released"], ran.code) == ([], 1)
    assert "not to requests to unregister" in ran.report["failed"]["12"]


@pytest.mark.parametrize("words", [[], ["5555"], ["5555", "seven"], ["--timeout-s", "0", "5555", "7"]])
def test_usage(words: list[str]) -> None:
    result = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True)

    assert result.returncode == 2
    assert "usage:" in result.stderr
