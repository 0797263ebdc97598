"""`top --web`: the same screen in a browser, with textual-serve, which the extra `web` installs and this alone imports.

Whoever has the address has all keys of `top`, so it holds a token, and nobody is answered without it: a first request
brings it, and a cookie that no script and no other site can use goes on with it.
"""

from __future__ import annotations

import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from textual_serve.server import Server

from dynkv.errors import UsageError

_HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Nothing is loaded from elsewhere: textual-serve's page asks a font of another host (1.1.3)."""


def serve(name: str, host: str, port: int, interval_s: float, tell: Callable[[str], None]) -> None:
    """Until Ctrl-C; raises UsageError where nothing can listen there. With port 0 at one that is free."""
    with _listening(host, port) as listener:
        page = _Page(name, interval_s, listener.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{page.port}/?token={page.token}")
        web.run_app(page.app(), sock=listener, print=None, access_log=None)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {host}, port {port}: {error.strerror}", hint="choose another with --port"
        ) from None


class _Page(Server):  # type: ignore[misc]
    def __init__(self, name: str, interval_s: float, port: int) -> None:
        command = [sys.executable, "-P", "-m", "dynkv", "top", name, "--interval", f"{interval_s:g}"]
        super().__init__(shlex.join(command), "127.0.0.1", port, title=f"dynkv top {name}")
        self.token = secrets.token_urlsafe(24)
        self._cookie = f"dynkv_top_{port}"  # cookies of one host are shared by its ports

    async def app(self) -> web.Application:
        app = await self._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Without textual-serve's own words."""

    async def handle_index(self, request: web.Request) -> Any:
        self.public_url = f"{request.scheme}://{request.host}"  # as the browser has it, through a tunnel too
        return await super().handle_index(request)

    @property
    def _guard(self) -> Any:
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
            if self._is_token(request.query.get("token", "")) and request.path == "/":
                answer: Any = web.HTTPFound("/", headers=_HEADERS)  # so that the token stays in no address bar
                answer.set_cookie(self._cookie, self.token, httponly=True, samesite="Lax")
                return answer
            if not self._is_token(request.cookies.get(self._cookie, "")):
                return web.Response(status=403, text="The address that `dynkv top --web` printed has a token.\n")
            answer = await handler(request)
            if not answer.prepared:
                answer.headers.update(_HEADERS)
            return answer

        return web.middleware(guard)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())
