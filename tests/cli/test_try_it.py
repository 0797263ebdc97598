"""The command that `up` suggests, run as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sample import STATUS

from dynkv.cli.started import show_started
from dynkv.plan.serving import Frontend

NOBODY = "http://127.0.0.1:9"


class Server(HTTPServer):
    asked: dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        pass


PATHS = {"auto": "/v1/chat/completions", "generate": "/v1/chat/completions"}
PATHS |= {"embed": "/v1/embeddings", "classify": "/v1/classify"}


@pytest.mark.parametrize("task", PATHS)
@pytest.mark.parametrize("model", ["tiny", "it's", 'a "b" \\ c', "größe", "[bold]x[/]", "$(id)"])
def test_it_reaches_the_endpoint_whatever_the_proxy(model: str, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        endpoint = Frontend("0.0.0.0", server.server_port, model).endpoint
        show_started(replace(STATUS, endpoint=endpoint, model=model, task=task), Path("/state/agg"))
        found = re.search(r"(?s)try: +(curl .*?)\nlogs:", capsys.readouterr().out)
        assert found
        env = {**os.environ, "http_proxy": NOBODY, "HTTP_PROXY": NOBODY, "ALL_PROXY": NOBODY, "no_proxy": ""}
        done = subprocess.run(["bash", "-c", found[1]], env=env, capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == PATHS[task]
        assert server.asked["model"] == model
