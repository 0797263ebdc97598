"""Clients that ask all along, and what became of each request. Loopback only, and never longer than its `with`."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Self

_TIMEOUT_S = 60.0
_PAUSE_S = 0.02
_PAUSE_AFTER_ERROR_S = 0.2
"""Refused connections cost nothing: without it they would be most of all requests."""


@dataclass(frozen=True, slots=True)
class Request:
    """Times are monotonic."""

    began: float
    ended: float
    error: str | None


@dataclass
class Traffic:
    """`clients` threads, each with one request at a time."""

    port: int
    model: str
    clients: int = 3
    prompt_words: int = 40
    requests: list[Request] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def running(self) -> Iterator[Self]:
        threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(_TIMEOUT_S + 5)

    def failed(self) -> list[Request]:
        return [one for one in self.requests if one.error is not None]

    def flood(self, requests: int) -> None:
        """So many more at once; returns without waiting for their answers."""
        for _ in range(requests):
            threading.Thread(target=self._ask_once, daemon=True).start()

    def _ask_on(self) -> None:
        ok = True
        while not self._over.wait(_PAUSE_S if ok else _PAUSE_AFTER_ERROR_S):
            ok = self._ask_once()

    def _ask_once(self) -> bool:
        began = time.monotonic()
        error = self._ask(next(self._numbers))
        self.requests.append(Request(began, time.monotonic(), error))
        return error is None

    def _ask(self, number: int) -> str | None:
        """What went wrong; a reply without text is an error too."""
        prompt = " ".join(f"{number} {word}" for word in range(self.prompt_words))
        body = json.dumps({"model": self.model, "prompt": prompt, "max_tokens": 4})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                return f"{response.status}: {content[:100].decode(errors='replace')}"
            json.loads(content)["choices"][0]["text"]
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return None
