"""Headless Chromium from Debian, driven by the Chrome DevTools Protocol."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pyte
import pytest


def chromium() -> str:
    """The path of Chromium, which is installed if possible; otherwise the test is skipped."""
    if shutil.which("chromium") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (("update",), ("install", "--yes", "--no-install-recommends", "chromium")):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=600, check=False)
    return shutil.which("chromium") or pytest.skip("there is no Chromium")


class Tab:
    """`terminal` is an emulator that is given the bytes that the page receives: the page draws them on a canvas."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._number = 0
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)

    async def call(self, method: str, **params: Any) -> Any:
        self._number += 1
        await self._line.send_json({"id": self._number, "method": method, "params": params})
        async for message in self._line:
            said = message.json()
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said["result"]
            self._hear(said)
        raise AssertionError("the browser has gone")

    async def value(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    def _hear(self, said: Any) -> None:
        if said.get("method") == "Network.webSocketCreated":
            size = parse_qs(urlsplit(said["params"]["url"]).query)
            self._screen.resize(int(size["height"][0]), int(size["width"][0]))
        if said.get("method") == "Network.webSocketFrameReceived":
            frame = said["params"]["response"]
            self._stream.feed(base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else b"")

    async def until(self, shows: Callable[[str], bool], deadline_s: float = 60.0) -> None:
        """Return when `shows` holds for the terminal."""
        async with asyncio.timeout(deadline_s):
            while not shows("\n".join(self._screen.display)):
                await self.value("0")  # meanwhile its events are received
                await asyncio.sleep(0.05)

    async def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"]))


@asynccontextmanager
async def tab(directory: Path, width: int, height: int) -> AsyncIterator[Tab]:
    """An empty tab of a browser with a new profile in `directory`."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += [f"--user-data-dir={directory}", "--remote-debugging-port=0", f"--window-size={width},{height}"]
    with (directory / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [chromium(), *options, "about:blank"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        port = await _port(directory / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [it for it in await answer.json() if it["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as line:
                made = Tab(line)
                await made.call("Network.enable")
                yield made
    finally:
        os.killpg(process.pid, 9)
        process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(60):
        while not (file.exists() and file.read_text().strip()):
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
