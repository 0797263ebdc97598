"""Tell `lmcache server` that workers are dead: `PYTHON release_registration.py [--timeout-s S] ZMQ_PORT ID [ID ...]`.

The server keeps a dead worker's KV cache registered, and on a GPU mapped, until someone unregisters its instance id;
what it has stored stays. This runs in the stack's interpreter, with LMCache's own client, and imports nothing of dynkv.

The last line of stdout is one JSON object, {"released": [ids], "failed": {id: why}}. Released means that the server
holds nothing under that id any more; so an id that it never knew, or has already released, counts as released. Exit
codes: 0 all are released, 1 some are not, 2 usage. It ends at once where nothing listens on the port, and at the latest
after the timeout, which starts when LMCache is imported; the import takes 2 to 5 s, since all of LMCache imports torch.

Source: lmcache 0.5.2 to 0.5.5 (multiprocess/mq.py, protocol.py) and 0.5.6 (multiprocess/transport, modules).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType
from typing import Any, Protocol

DEFAULT_TIMEOUT_S = 10.0
HOST = "localhost"  # the one address that the server binds
NOBODY = 0  # instance ids are process ids or 63 random bits
Failures = dict[int, str]


class Reply(Protocol):
    """LMCache's future for one request."""

    def query(self) -> bool: ...

    def result(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Client:
    """The used part of LMCache's client. Its calls return at once, and its requests reach the server in order."""

    unregister: tuple[Callable[[int], Reply], ...]
    """One function for each kind of registration: lmcache-driven (GPU) and engine-driven (CPU)."""
    ask_something: Callable[[], Reply]


def import_client() -> Callable[[str], Client]:
    """Import LMCache's client, in either of its two forms; returns a function that connects it to a server's URL."""
    return _client_until_0_5_5() if find_spec("lmcache.v1.multiprocess.mq") else _client_of_0_5_6()


def _client_of_0_5_6() -> Callable[[str], Client]:
    from lmcache.v1.multiprocess.transport.factory import RequestClientFactory

    def connect(url: str) -> Client:
        client = RequestClientFactory.create(url)
        unregister = (client.unregister_kv_cache, client.unregister_kv_cache_engine_driven_context)
        return Client(unregister, client.get_chunk_size)

    return connect


def _client_until_0_5_5() -> Callable[[str], Client]:
    import zmq
    from lmcache.v1.multiprocess.mq import MessageQueueClient
    from lmcache.v1.multiprocess.protocol import RequestType, get_response_class

    def connect(url: str) -> Client:
        client = MessageQueueClient(url, zmq.Context.instance())  # type: ignore[attr-defined, unused-ignore]

        def request(kind: Any) -> Callable[..., Reply]:
            return lambda *payloads: client.submit_request(kind, list(payloads), get_response_class(kind))

        kinds = (RequestType.UNREGISTER_KV_CACHE, RequestType.UNREGISTER_KV_CACHE_ENGINE_DRIVEN_CONTEXT)
        return Client(tuple(request(kind) for kind in kinds), request(RequestType.GET_CHUNK_SIZE))

    return connect


def release(client: Client, ids: Sequence[int]) -> Failures:
    """Unregister every id in every way that the server supports; returns the reasons of failures, by id.

    An id does not tell its kind of registration, and the server gives the same answer whether it knew an id or not.
    """
    served = [unregister for unregister in client.unregister if not _failures(client, [unregister(NOBODY)])]
    if not served:
        return dict.fromkeys(ids, "the server answers, but not to requests to unregister a KV cache")
    reasons = {id_: _failures(client, [unregister(id_) for unregister in served]) for id_ in ids}
    return {id_: why[0] for id_, why in reasons.items() if why}


def _failures(client: Client, replies: Sequence[Reply]) -> list[str]:
    """Why each failed reply did. Waits until the server has dealt with their requests.

    The server does not answer a request if it does not serve its kind (`--supported-transfer-mode`), or if it failed.
    But it handles all requests used here one by one, in order: so once it has answered a later one, a missing answer
    will never come.
    """
    client.ask_something().result()
    return [why for reply in replies if (why := _failure(reply))]


def _failure(reply: Reply) -> str | None:
    if not reply.query():
        return "the server failed to unregister it; its log says why"
    try:
        reply.result()
    except Exception as error:  # noqa: BLE001 (whatever LMCache raises is the answer to report)
        return in_words(error)
    return None


def check_listening(port: int, timeout_s: float) -> None:
    """Raise OSError if nothing listens: LMCache's client would not notice, after seconds of imports."""
    socket.create_connection((HOST, port), timeout_s).close()


@contextmanager
def deadline(timeout_s: float) -> Iterator[None]:
    """Raise TimeoutError inside, wherever it waits then. Only in the main thread, and only once in a process."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the server did not answer within {timeout_s:g} s")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def attempt(port: int, ids: Sequence[int], timeout_s: float) -> Failures:
    """The reasons of failures, by id, whatever they are."""
    try:
        check_listening(port, timeout_s)
        connect = import_client()
        with deadline(timeout_s):
            return release(connect(f"tcp://{HOST}:{port}"), ids)
    except Exception as error:  # noqa: BLE001 (the one place that turns failures into a report)
        return dict.fromkeys(ids, in_words(error))


def in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Release the KV caches that dead workers registered at LMCache.")
    parser.add_argument("--timeout-s", type=_seconds, default=DEFAULT_TIMEOUT_S, help="for the server's answers (10)")
    parser.add_argument("zmq_port", type=int)
    parser.add_argument("ids", type=int, nargs="+", metavar="id", help="instance id, from the worker's log or /status")
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    ids = list(dict.fromkeys(options.ids))
    failed = attempt(options.zmq_port, ids, options.timeout_s)
    print(json.dumps({"released": [id_ for id_ in ids if id_ not in failed], "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the client's thread and ZMQ's own would wait for a server that may be gone
