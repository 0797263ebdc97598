"""The program that posts, over TLS with a private CA, through a proxy, and to invalid addresses."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import certificate

from dynkv.supervisor import webhook

BODY = b'{"event": "degraded"}'
SECRET = "not-for-everybody"


@dataclass
class Server:
    """A server, the requests that it received, and their credentials."""

    port: int = 0
    got: list[tuple[str, bytes, str | None]] = field(default_factory=list)
    ca: str = ""


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], tls: tuple[str, str] | None = None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that does not trust it
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def over_tls(directory: Path, answer: int = 204) -> Iterator[Server]:
    """A server whose certificate, for 127.0.0.1, is signed by a CA that nobody else knows."""
    ca, _ = certificate(directory, "authority")
    found = Server(ca=ca)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, body, self.headers["Authorization"]))
            self.send_response(answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with listening(Handler, certificate(directory, "server", by="authority")) as found.port:
        yield found


def post(address: str, **env: str) -> tuple[int, str]:
    """Run the program: its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-I", str(webhook.__file__)],
        input=BODY,
        env={"DYNKV_WEBHOOK": address, **env},
        capture_output=True,
        timeout=30,
    )
    assert done.stdout == b""
    assert SECRET not in done.stderr.decode()
    return done.returncode, done.stderr.decode()


def test_a_ca_of_its_own_is_trusted_if_it_is_named(tmp_path: Path) -> None:
    with over_tls(tmp_path) as server:
        assert post(f"https://127.0.0.1:{server.port}/{SECRET}?a=b", SSL_CERT_FILE=server.ca) == (0, "")
        assert server.got == [(f"/{SECRET}?a=b", BODY, None)]


def test_one_that_is_not_trusted_is_told_of_and_gets_nothing(tmp_path: Path) -> None:
    with over_tls(tmp_path) as server:
        code, said = post(f"https://127.0.0.1:{server.port}/{SECRET}")
        assert code == 2, "a retry would fail as well"
        assert said.startswith("its certificate is not trusted: ")
        assert said.endswith("(SSL_CERT_FILE names a file of the CAs to trust)\n")
        other, said = post(f"https://localhost:{server.port}/{SECRET}", SSL_CERT_FILE=server.ca)
        assert (other, "not valid for 'localhost'" in said) == (2, True)
        assert server.got == []


@pytest.mark.parametrize("answer", [301, 303, 307, 308])
def test_no_redirection_is_followed(tmp_path: Path, answer: int) -> None:
    with over_tls(tmp_path, answer) as server:
        assert post(f"https://127.0.0.1:{server.port}/", SSL_CERT_FILE=server.ca) == (2, f"it answered {answer}\n")
        assert len(server.got) == 1


def test_a_server_without_tls_may_be_better_later(tmp_path: Path) -> None:
    with listening(BaseHTTPRequestHandler) as port:
        code, said = post(f"https://127.0.0.1:{port}/{SECRET}")
    assert (code, said.startswith("it cannot be reached: ")) == (1, True)


def test_a_users_name_and_password_are_a_header(tmp_path: Path) -> None:
    with over_tls(tmp_path) as server:
        address = f"https://me:{SECRET}%21@127.0.0.1:{server.port}/"
        assert post(address, SSL_CERT_FILE=server.ca) == (0, "")
        assert server.got == [("/", BODY, f"Basic {base64.b64encode(f'me:{SECRET}!'.encode()).decode()}")]


def test_a_proxy_is_asked_with_its_password_and_sees_nothing_else(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=pass_on, args=(server, self.connection))
                back.start()
                pass_on(self.connection, server)
                back.join()

        def log_message(self, *args: object) -> None:
            pass

    with over_tls(tmp_path) as server, listening(Proxy) as port:
        proxy = f"http://me:{SECRET}@127.0.0.1:{port}"
        assert post(f"https://127.0.0.1:{server.port}/", SSL_CERT_FILE=server.ca, HTTPS_PROXY=proxy) == (0, "")
        words = base64.b64encode(f"me:{SECRET}".encode()).decode()
        assert asked == [(f"127.0.0.1:{server.port}", f"Basic {words}")]
        assert server.got == [("/", BODY, None)]


def pass_on(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "address",
    [
        "",
        f"hooks.example.org/{SECRET}",
        f"file:///etc/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"https:///{SECRET}",
        f"https://127.0.0.1:{SECRET}/",
        f"https://127.0.0.1/a {SECRET}",
        f"https://[::1/{SECRET}",
        f"https://no..name/{SECRET}",
    ],
)
def test_what_is_no_address_is_said_without_it(address: str) -> None:
    code, said = post(address)
    assert (code, said.startswith("this is not an address to post to")) == (2, True)
