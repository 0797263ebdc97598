"""A supervisor has no OpenSSL in its memory, and can encrypt a connection all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import certificate

from dynkv.own_digests import ALGORITHMS

STAYING = ("dynkv.daemon", "dynkv.park.parker")

LOOK = """
import {module}, json, sys
if "anyio" in sys.modules:
    sys.modules["anyio"].run(sys.modules["anyio"].sleep, 0)
import hashlib
hashes = [hashlib.new(name, b"x").hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")]
libraries = [line.split()[-1] for line in open("/proc/self/maps") if "libcrypto" in line or "libssl" in line]
print(json.dumps([sorted(set(libraries)), hashes]))
"""

TALK = """
import dynkv.daemon, sys
import anyio, socket, threading
import ssl

def serve():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
        peer.sendall(peer.recv(100).upper())

async def talk():
    context = ssl.create_default_context(cafile=sys.argv[1])
    how = {"ssl_context": context, "tls_hostname": "127.0.0.1", "tls_standard_compatible": False}
    async with await anyio.connect_tcp("127.0.0.1", port, **how) as stream:
        await stream.send(b"hello")
        print((await stream.receive()).decode())

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
threading.Thread(target=serve, daemon=True).start()
anyio.run(talk)
"""


def said_by(code: str, *arguments: str) -> str:
    run = subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@pytest.mark.parametrize("module", STAYING)
def test_openssl_is_not_loaded(module: str) -> None:
    libraries, hashes = json.loads(said_by(LOOK.format(module=module)))
    assert libraries == []
    _, with_openssl = json.loads(said_by(LOOK.format(module="ssl")))
    assert hashes == with_openssl


def test_the_parker_does_without_anyio() -> None:
    assert said_by("import dynkv.park.parker, sys; print('anyio' in sys.modules)") == "False\n"


def test_a_connection_is_encrypted_afterwards(tmp_path: Path) -> None:
    ca, _ = certificate(tmp_path, "authority")
    cert, key = certificate(tmp_path, "server", by="authority")
    assert said_by(TALK, ca, cert, key) == "HELLO\n"


def test_a_python_without_own_digests_uses_openssl() -> None:
    """As some distributions build it."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({ALGORITHMS[:-1]!r}))\n"
    libraries, _ = json.loads(said_by(hidden + LOOK.format(module="dynkv.without_openssl")))
    assert any("libcrypto" in library for library in libraries)
