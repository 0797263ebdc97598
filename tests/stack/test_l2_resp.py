"""KV blocks in a redis-server with a password, which comes from the environment and appears nowhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .asking import prompt
from .figures import figures, registered
from .harness import Dynkv, free_port, wait_for
from .test_l2 import L2, NO_PREFIX_CACHE, PROMPT_TOKENS, START_S, WHOLE_CHUNKS_TOKENS

pytestmark = pytest.mark.stack

PASSWORD = "correct-horse-battery"
_INSTALL = (["update"], ["install", "--yes", "--no-install-recommends", "redis-server"])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def redis() -> Iterator[int]:
    """The port of a server that requires a password; it is installed if it is missing and available."""
    if shutil.which("redis-server") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in _INSTALL:
            subprocess.run(["apt-get", *words], capture_output=True, timeout=300, check=False)
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not here, and cannot be installed")
    port = free_port()
    settings = f'bind 127.0.0.1\nport {port}\nsave ""\nrequirepass {PASSWORD}\n'
    with subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/tmp") as server:
        assert server.stdin is not None
        server.stdin.write(settings.encode())
        server.stdin.close()
        try:
            wait_for(lambda: _is_open(port), "redis-server to listen")
            yield port
        finally:
            server.terminate()


def _command_lines() -> str:
    return "".join(
        file.read_bytes().decode(errors="replace") for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()
    )


def test_what_a_restarted_sidecar_answers_comes_from_redis(redis: int, dynkv: Dynkv, random_model: Path) -> None:
    tier = json.dumps([{"type": "resp", "host": "127.0.0.1", "port": redis}])
    options = ("--set", f"model.args={NO_PREFIX_CACHE}", "--set", f"lmcache.l2={tier}", "--timeout", f"{START_S:g}")
    words = dynkv.up_words("agg", "--device", "cpu", "--model", str(random_model), *options)
    done = dynkv.run(*words, timeout_s=START_S + 60, env={"LMCACHE_RESP_PASSWORD": PASSWORD})
    assert done.returncode == 0, done.stderr
    l2, text = L2(dynkv, "agg"), prompt(PROMPT_TOKENS, seed=50)
    answer, port = l2.ask(text), l2.sidecar_port()
    name = "lmcache_mp_l2_store_completed_objects_chunks_total"
    wait_for(lambda: figures(port).get(name, 0.0) >= WHOLE_CHUNKS_TOKENS // 256, "the chunks stored in redis")

    before = dynkv.status()
    dynkv.do("restart", "lmcache")
    dynkv.wait_for_restart("lmcache", before)
    wait_for(lambda: len(registered(l2.sidecar_port())) == 1, "the worker registered again")
    l2.wait_until_looked_up()
    hits = l2.figure("lookup_hit_l2_tokens")
    assert l2.ask(text) == answer
    assert l2.figure("lookup_hit_l2_tokens") - hits >= WHOLE_CHUNKS_TOKENS

    assert PASSWORD not in _command_lines()
    written = [file for file in dynkv.home.rglob("*") if file.is_file()]
    assert written
    assert [file for file in written if PASSWORD.encode() in file.read_bytes()] == []
