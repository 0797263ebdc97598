"""The one request that a unit has yet to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from dynkv.supervisor.inbox import Request, accept
from dynkv.supervisor.states import State


class Slot:
    def __init__(self) -> None:
        self.pending: Request | None = None
        self._asked = anyio.Event()

    def put(self, state: State, new: Request) -> None:
        """Others ask; the table decides whether this takes the place of what is pending."""
        self.pending = accept(state, self.pending, new)
        if self.pending is not None:
            self._asked.set()

    async def asked(self) -> None:
        """Return when there is a request to answer."""
        await self._asked.wait()

    def take(self) -> Request:
        """Only after one came in."""
        request = self.pending
        assert request is not None, "only called after a request came in"
        self.pending, self._asked = None, anyio.Event()
        return request

    async def unless_asked(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do `work`, but drop it when a request comes in; whether it was done."""
        done = False

        async def do() -> None:
            nonlocal done
            await work()
            done = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do)
            await self.asked()
            tasks.cancel_scope.cancel()
        return done
