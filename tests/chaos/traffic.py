"""Clients that send requests continuously, and the result of each. Loopback only; they end with their `with` block."""

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
"""Pause after a failure: refused connections take no time, and would be most of all requests."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its result. Times are monotonic."""

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
        """Send this many more requests at once; return without waiting for the answers."""
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
        """What went wrong, or None; a reply without text is an error too."""
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
