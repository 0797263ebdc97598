"""Learning of events, and the end of every wait, on real sockets with a scripted server."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynkv.control.client import Client, SupervisorGone, SupervisorSilent
from dynkv.control.deadline import Deadline
from dynkv.control.exchange import exchange
from dynkv.control.news import News
from dynkv.errors import DynkvError

LONG_S = 60.0


class TestDeadline:
    def test_without_a_number_there_is_no_end(self) -> None:
        deadline = Deadline()
        assert (deadline.left_s, deadline.timeout_s, deadline.is_past) == (math.inf, None, False)
        assert deadline.cut(7) == 7

    def test_what_is_left_is_never_more_than_was_given_nor_less_than_nothing(self) -> None:
        assert 0 < Deadline(LONG_S).cut(1000) <= LONG_S
        assert Deadline(LONG_S).cut(7) == 7
        past = Deadline(0)
        assert (past.left_s, past.timeout_s, past.cut(7), past.is_past) == (0, 0, 0, True)


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(LONG_S)
        yield listener


class TestNews:
    def test_an_event_ends_the_pause(self, tmp_path: Path) -> None:
        with listening(tmp_path / "x") as listener, News(tmp_path / "x") as news:
            assert not news.wait(0)
            server, _ = listener.accept()
            with server:
                assert server.recv(1000).startswith(b"GET /v1/events ")
                server.sendall(b"data: {}\n\n")
                assert news.wait(LONG_S)
                assert not news.wait(0), "one event is one reason to look"
                threading.Timer(0.05, server.sendall, [b"data: {}\n\n"]).start()
                assert news.wait(LONG_S)

    def test_a_burst_is_one_reason_to_look(self, tmp_path: Path) -> None:
        with listening(tmp_path / "x") as listener, News(tmp_path / "x") as news:
            news.wait(0)
            server, _ = listener.accept()
            with server:
                server.sendall(b"data: {}\n\n" * 10_000)
                assert news.wait(LONG_S)
                assert not news.wait(0)

    def test_a_stream_that_ends_is_a_pause_cut_short_and_no_news(self, tmp_path: Path) -> None:
        with listening(tmp_path / "x") as listener, News(tmp_path / "x") as news:
            news.wait(0)
            listener.accept()[0].close()
            assert not news.wait(LONG_S)

    def test_one_that_ends_at_once_is_not_asked_for_again_at_once(self, tmp_path: Path) -> None:
        with listening(tmp_path / "x") as listener, News(tmp_path / "x") as news:
            news.wait(0)
            listener.accept()[0].close()
            assert not news.wait(LONG_S)
            assert not news.wait(0)
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()

    def test_where_nobody_listens_or_takes_connections_it_is_a_pause(self, tmp_path: Path) -> None:
        with News(tmp_path / "none") as news:
            assert not news.wait(0.01)
        with listening(tmp_path / "x"), socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            for waiting in (first, second):  # as many as it keeps waiting
                waiting.connect(str(tmp_path / "x"))
            with News(tmp_path / "x") as news:
                assert not news.wait(0.01)


class TestRequests:
    def test_an_answer_that_trickles_is_late_as_well(self, tmp_path: Path) -> None:
        """Each byte comes in time, but all of them would take forever."""
        over = threading.Event()

        def trickle(server: socket.socket) -> None:
            with server:
                while not over.wait(0.01):
                    try:
                        server.sendall(b"H")
                    except OSError:
                        return

        with listening(tmp_path / "x") as listener:
            accepting = threading.Thread(target=lambda: trickle(listener.accept()[0]))
            accepting.start()
            with pytest.raises(TimeoutError):
                exchange(tmp_path / "x", 0.3, "GET", "/v1/status")
            over.set()
            accepting.join()

    def test_no_request_takes_longer_than_is_left(self, tmp_path: Path) -> None:
        with listening(tmp_path / "x"), pytest.raises(SupervisorSilent, match=r"no answer within 0\.5 s"):
            Client(tmp_path / "x", LONG_S, Deadline(0)).status()


class TestWhatAnswersIsNoSupervisor:
    """Any answer that does not come from a supervisor of this version is reported in one sentence."""

    BODIES = (b"", b"{}", b"[]", b"nonsense", b"[" * 100_000, b"\xff", b'{"error": 3}', b'"error"', b"1e400")

    @pytest.mark.parametrize("status", [b"200", b"404", b"500"])
    @pytest.mark.parametrize("body", BODIES)
    def test_bodies(self, tmp_path: Path, status: bytes, body: bytes) -> None:
        with (
            answering(tmp_path / "x", b"HTTP/1.0 %s X\r\n\r\n%s" % (status, body)) as client,
            pytest.raises(DynkvError),
        ):
            client.status()

    HEADS = (
        b"",
        b"HTTP/1.0",
        b"HTTP/1.0 2 X",
        b"HTTP/1.0 %s X" % (b"9" * 5000),
        b"SSH-2.0-OpenSSH",
        b"\xff\n\n",
        b"HTTP/1.0 200 X\r\nContent-Length: x",
        b"HTTP/1.0 200 X\r\nContent-Length: %s" % (b"9" * 5000),
    )

    @pytest.mark.parametrize("head", HEADS)
    def test_heads(self, tmp_path: Path, head: bytes) -> None:
        with answering(tmp_path / "x", head + b"\r\n\r\n") as client, pytest.raises(SupervisorGone):
            client.down()

    def test_an_event_that_was_cut_short_is_none(self, tmp_path: Path) -> None:
        event = b'{"seq": 1, "at": "", "kind": "state", "unit": null, "message": "m"}'
        for end, count in ((b"\n\n", 1), (b"", 0), (b'\ndata: {"seq"', 1)):
            with answering(tmp_path / "x", b"HTTP/1.0 200 X\r\n\r\ndata: " + event + end) as client:
                assert len(list(client.events())) == count


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[Client]:
    """A client of a server that always gives this answer."""

    def serve() -> None:
        server, _ = listener.accept()
        with server:
            server.recv(1000)
            server.sendall(answer)

    path.unlink(missing_ok=True)
    with listening(path) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Client(path, LONG_S)
        thread.join()
