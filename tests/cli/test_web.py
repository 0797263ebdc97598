"""`dynkv top --web` in a real browser, and for clients without the token."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command import UNITS, Command, command_in

pytest.importorskip("textual_serve")

import aiohttp
from browser import tab

from dynkv.cli import top, web
from dynkv.cli.deployments import Deployment
from dynkv.home import Place

pytestmark = pytest.mark.anyio

DEPLOYMENT = Deployment(Place(Path("/nowhere"), "agg"), None)
PROFILE = UNITS + "  - {name: steady, argv: [sleep, '1000']}\n  - {name: shaky, argv: [sleep, '1000']}\n"


@pytest.fixture
def anyio_backend() -> str:
    """aiohttp needs asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with command_in(tmp_path_factory.mktemp("web")) as command:
        assert command("up", command.profile(PROFILE)).returncode == 0
        yield command


@contextmanager
def served(command: Command) -> Iterator[str]:
    """The address that is printed."""
    with command.begun("top", "--web", PYTHONUNBUFFERED="1") as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        process.wait(30)


async def test_nobody_is_answered_without_the_token(command: Command) -> None:
    with served(command) as address:
        base = address.partition("/?")[0]
        assert urlsplit(base).hostname == "127.0.0.1"
        async with aiohttp.ClientSession() as stranger:
            for path in ("/", "/?token=guess", "/ws", "/ws?token=guess", "/static/js/textual.js", "/download/x"):
                async with stranger.get(base + path, allow_redirects=False) as answer:
                    assert answer.status == 403, path
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await stranger.ws_connect(f"{base}/ws")
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as known,
            known.get(address) as page,
        ):
            assert (page.status, str(page.url)) == (200, f"{base}/")
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]


async def test_a_browser_sees_a_unit_die_and_come_back(command: Command, tmp_path: Path) -> None:
    with served(command) as address:
        async with tab(tmp_path, 1280, 720) as page:
            await page.call("Page.navigate", url=address)
            await page.until(lambda text: bool(re.search(r"shaky +ready +- +\S+ +0 ", text)))
            os.kill(command.pids()["shaky"], signal.SIGKILL)
            await page.until(lambda text: bool(re.search(r"shaky +ready +- +\S+ +1 .*killed by SIGKILL", text)))
            await page.until(lambda text: "shaky: killed by SIGKILL" in text)
            assert await page.value("location.search") == ""  # the token is gone from the address bar
            if picture := os.environ.get("UPDATE_PICTURES"):
                await asyncio.sleep(1)  # wait until the page has faded in
                await page.screenshot(Path(picture) / "top-web.png")


def test_read_only_is_read_only_in_a_browser_too(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, ...]] = []
    monkeypatch.setattr(web, "serve", lambda words, *_: served.append(tuple(words)))
    for is_read_only in (True, False):
        top._serve(DEPLOYMENT, "127.0.0.1", 0, 1.0, is_read_only=is_read_only)
    assert served == [("top", "agg", "--interval", "1", "--read-only"), ("top", "agg", "--interval", "1")]
