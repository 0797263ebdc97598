"""The one request that a unit has yet to handle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from dynkv.supervisor.inbox import Request, accept
from dynkv.supervisor.life import Life


class Slot:
    def __init__(self, life: Life) -> None:
        self.pending: Request | None = None
        self._is_final = False
        self._life = life
        self._changed = anyio.Event()

    def put(self, new: Request) -> None:
        """Put a request; the table in inbox.py decides whether it replaces the pending one. None is accepted after a
        final one."""
        if self._is_final:
            return
        self._is_final = new.final
        self.pending = accept(self._life.state, self.pending, new)
        self._changed.set()
        self._changed = anyio.Event()

    async def asked(self) -> None:
        """Return when there is a request to handle; it may be dropped again before it is taken."""
        while self.pending is None:
            await self._changed.wait()

    def take(self) -> Request | None:
        """Take the pending request, which applies from now on."""
        request, self.pending = self.pending, None
        if request is not None:
            self._life.publish(wanted=not request.is_scaling)
        return request

    async def unless_asked(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do `work`, but drop it when a request comes in; whether it was done."""
        if self.pending is not None:
            return False  # a task that need not wait would be done before it could be dropped
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
