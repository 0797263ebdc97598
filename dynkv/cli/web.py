"""`top --web`: the same screen in a browser, with textual-serve, which the extra `web` installs and only this file
imports.

Whoever has the address can use all keys of `top`, so it contains a token, without which no request is answered: the
first request brings it, and later ones a cookie that scripts and other sites cannot use.
"""

from __future__ import annotations

import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
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
"""Load nothing from elsewhere: textual-serve's page requests a font from another host (1.1.3)."""


def serve(words: Sequence[str], host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve `dynkv` with these words, `top` and a name first, until Ctrl-C. Port 0 takes any free port.

    Raises UsageError if the address cannot be used.
    """
    with _listening(host, port) as listener:
        page = _Page(words, listener.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{page.port}/?token={page.token}")
        web.run_app(page.app(), sock=listener, print=None, access_log=None)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}", hint="choose another with --port"
        ) from None


class _Page(Server):  # type: ignore[misc]
    def __init__(self, words: Sequence[str], port: int) -> None:
        command = shlex.join([sys.executable, "-P", "-m", "dynkv", *words])
        super().__init__(command, "127.0.0.1", port, title=f"dynkv {' '.join(words[:2])}")
        self.token = secrets.token_urlsafe(24)
        self._cookie = f"dynkv_top_{port}"  # cookies of one host are shared by its ports

    async def app(self) -> web.Application:
        app = await self._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Start without textual-serve's own messages."""

    async def handle_index(self, request: web.Request) -> Any:
        self.public_url = f"{request.scheme}://{request.host}"  # as the browser sees it, also through a tunnel
        return await super().handle_index(request)

    @property
    def _guard(self) -> Any:
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
            if self._is_token(request.query.get("token", "")) and request.path == "/":
                answer: Any = web.HTTPFound("/", headers=_HEADERS)  # so that the token stays in no address bar
                answer.set_cookie(self._cookie, self.token, httponly=True, samesite="Lax")
                return answer
            if not self._is_token(request.cookies.get(self._cookie, "")):
                return web.Response(
                    status=403, text="Use the address that `dynkv top --web` printed: it contains a token.\n"
                )
            answer = await handler(request)
            if not answer.prepared:
                answer.headers.update(_HEADERS)
            return answer

        return web.middleware(guard)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())
