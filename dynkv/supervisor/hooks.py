"""One attempt to notify somebody, with the person's program or one that posts, as a child with a time limit.

Posting runs in a separate process too, so that name resolution, a proxy or TLS cannot hold up the supervisor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
from msgspec import Struct

from dynkv.children.child import Child
from dynkv.children.marks import marked_environment
from dynkv.children.output import tail
from dynkv.children.stop import kill_tree
from dynkv.home import Place
from dynkv.plan.hook import HOOKS, Hook
from dynkv.secrets import hidden

URL = "DYNKV_WEBHOOK"
_POSTS = Path(__file__).with_name("webhook.py")
NEVER = 2
"""Exit code of a post that should not be retried."""


class Failure(Struct, frozen=True):
    """A failed attempt, described without secrets."""

    what: str
    last_line: str = ""
    """The last line of its output."""
    is_final: bool = False
    """Whether it would fail again."""


class HookRunner(Struct, frozen=True):
    hook: Hook
    place: Place

    async def tell(self, body: bytes, variables: Mapping[str, str]) -> Failure | None:
        """Run the hook; returns None if it succeeded. Afterwards none of its processes run, also when this is
        cancelled."""
        secrets = {name: os.environ[name] for name in self.hook.secret_env if name in os.environ}
        try:
            secrets |= self._address()
            child = self._spawn(body, {**self.hook.env, **secrets, **variables})
        except (OSError, ValueError) as error:
            return Failure(f"it cannot be started: {error}")
        try:
            in_time = await _has_ended(child, self.hook.timeout_s)
        finally:
            with anyio.CancelScope(shield=True):
                await kill_tree(child.tree)
            child.reap()
        return None if in_time and child.exit and child.exit.code == 0 else self._failure(child, in_time, secrets)

    def _spawn(self, body: bytes, env: Mapping[str, str]) -> Child:
        argv = self.hook.argv or (sys.executable, "-I", str(_POSTS))
        stdin = os.memfd_create("dynkv-notice")  # unlike a pipe, it is never full, and needs no reader
        try:
            os.write(stdin, body)
            os.lseek(stdin, 0, os.SEEK_SET)
            return Child.spawn(
                argv, marked_environment(self.place.home, self.place.name, HOOKS, env), self._log, stdin=stdin
            )
        finally:
            os.close(stdin)

    @property
    def _log(self) -> Path:
        return self.place.logs / f"{HOOKS}.log"

    def _address(self) -> dict[str, str]:
        """The variables with the address, for the program that posts."""
        if self.hook.url_file:
            return {URL: Path(self.hook.url_file).read_text(encoding="utf-8").strip()}
        return {URL: os.environ.get(self.hook.url_in, "")} if self.hook.url_in else {}

    def _failure(self, child: Child, in_time: bool, secrets: Mapping[str, str]) -> Failure:
        what = f"{child.exit}" if in_time else f"it had not ended after {self.hook.timeout_s:g} s, and was killed"
        said = tail(self._log, 1, child.log_start_byte)
        is_final = not self.hook.argv and child.exit is not None and child.exit.code == NEVER
        return Failure(what, hidden("".join(said), secrets.values()), is_final)


async def _has_ended(child: Child, limit_s: float) -> bool:
    async with anyio.create_task_group() as watching:
        watching.start_soon(child.watch)
        with anyio.move_on_after(limit_s):
            await child.exited.wait()
        watching.cancel_scope.cancel()
    return child.exited.is_set()
