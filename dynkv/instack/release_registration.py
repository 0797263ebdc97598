"""Tell `lmcache server` that a worker is dead: `PYTHON release_registration.py ZMQ_PORT ID [ID ...]`.

Runs in the stack's interpreter, with LMCache's own client. The server keeps a dead worker's KV cache registered, and
on a GPU mapped, until someone unregisters it; what it has stored stays. Both kinds of registration are tried, since a
worker's id does not tell which it has: the server ignores an id that it does not know.

Prints one JSON object: {"asked": [ids], "failed": {id: why}}. Exit codes: 0 the server answered for each id, 1 it did
not, 2 usage. Source: lmcache 0.5.2 (multiprocess/mq.py) and 0.5.6 (multiprocess/transport).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

TIMEOUT_S = 10.0
Ask = Callable[[int], "Future"]


class Future(Protocol):
    def result(self, timeout: float) -> Any: ...


def calls(port: int) -> list[Ask]:
    """The ways to unregister an id that this LMCache knows: for a GPU worker, and for one on a CPU."""
    url = f"tcp://localhost:{port}"
    try:
        from lmcache.v1.multiprocess.transport.factory import RequestClientFactory
    except ImportError:
        return _calls_until_0_5_2(url)
    client = RequestClientFactory.create(url, context=_zmq_context())
    return [client.unregister_kv_cache, client.unregister_kv_cache_engine_driven_context]


def _calls_until_0_5_2(url: str) -> list[Ask]:
    from lmcache.v1.multiprocess.mq import MessageQueueClient
    from lmcache.v1.multiprocess.protocol import RequestType, get_response_class

    client = MessageQueueClient(url, _zmq_context())

    def ask(kind: Any) -> Ask:
        return lambda worker: client.submit_request(kind, [worker], get_response_class(kind))

    return [ask(RequestType.UNREGISTER_KV_CACHE), ask(RequestType.UNREGISTER_KV_CACHE_ENGINE_DRIVEN_CONTEXT)]


def _zmq_context() -> Any:
    import zmq

    return zmq.Context.instance()  # type: ignore[attr-defined, unused-ignore]


def release(port: int, ids: list[int]) -> dict[str, str]:
    """Ask for every id; why it failed, by id, for those where no way got an answer."""
    failed: dict[str, str] = {}
    ways = calls(port)
    for worker in ids:
        reasons = [reason for ask in ways if (reason := _failure(ask, worker))]
        if len(reasons) == len(ways):
            failed[str(worker)] = reasons[0]
    return failed


def _failure(ask: Ask, worker: int) -> str | None:
    try:
        ask(worker).result(timeout=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 (whatever LMCache raises is the answer to report)
        return f"{type(error).__name__}: {error}"
    return None


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or not all(argument.isdigit() for argument in arguments):
        print("usage: release_registration.py ZMQ_PORT ID [ID ...]", file=sys.stderr)
        return 2
    port, *ids = (int(argument) for argument in arguments)
    failed = release(port, ids)
    print(json.dumps({"asked": ids, "failed": failed}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # the client's threads wait for a server that may be gone
