"""Asking questions that may never be answered, such as of a driver whose GPU fell off the bus, without waiting
forever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import anyio

T = TypeVar("T")
_PERIOD_S = 0.02


class Questions:
    """Asks one question at a time, each in a thread that is abandoned when nobody waits for it any more.

    Unlike a thread of a pool, it does not keep the process from exiting.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None

    async def ask(self, question: Callable[[], T], patience_s: float) -> T:
        """The question's result or exception; TimeoutError if neither comes within `patience_s`, including the wait
        for a turn."""
        with anyio.fail_after(patience_s):
            while self._thread is not None and self._thread.is_alive():  # noqa: ASYNC110 (it tells nobody else)
                await anyio.sleep(_PERIOD_S)
            answer: Future[T] = Future()
            self._thread = Thread(target=_answer, args=(question, answer), name="question", daemon=True)
            self._thread.start()
            return await asyncio.wrap_future(answer)


def _answer(question: Callable[[], T], answer: Future[T]) -> None:
    answer.set_running_or_notify_cancel()  # from now on nobody who stops waiting can cancel it
    try:
        answer.set_result(question())
    except Exception as error:  # noqa: BLE001 (whoever asked is told)
        answer.set_exception(error)
