"""What `up` prints when the deployment answers: its address, and a first request. Without rich, which takes 60 ms."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from dynkv.cli.ink import Ink
from dynkv.cli.status_text import in_full
from dynkv.supervisor.status import DeploymentStatus

_ASKED: dict[str, tuple[str, dict[str, object]]] = {
    "embed": ("/v1/embeddings", {"input": "Hello"}),
    "classify": ("/v1/classify", {"input": "Hello"}),
}
_CHAT = ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 32})


def show_started(status: DeploymentStatus, directory: Path) -> None:
    ink = Ink(sys.stdout)
    resting = [unit.name for unit in status.units if unit.state == "stopped"]
    lines = []
    if resting:
        names = " ".join(resting)
        lines.append(f"{ink.paint('still stopped, as requested:', 'yellow')} {names} (`dynkv start {names}`)")
    ready = ink.paint("ready:", "bold green")
    if status.endpoint:
        model = in_full(status.model, status.model_aliases)
        lines.append(f"{ready} {status.endpoint}  {ink.paint('model', 'dim')} {model}")
        lines += [ink.paint(line, "dim") for line in _try_it(status)]
    else:
        lines.append(f"{ready} {len(status.units) - len(resting)} units")
    if status.metrics_url:
        lines.append(ink.paint(f"watch: {status.metrics_url}", "dim"))
    lines.append(ink.paint(f"logs:  {directory / 'logs'}", "dim"))
    print("\n".join(lines))  # noqa: T201


def _try_it(status: DeploymentStatus) -> list[str]:
    """Lines with a first request to try in a shell."""
    if status.task == "realtime":
        return [f"try:   a WebSocket at {status.endpoint.replace('http', 'ws', 1)}/v1/realtime"]
    path, asked = _ASKED.get(status.task, _CHAT)
    # no proxy of the person's would find this host's loopback
    url = shlex.quote(f"{status.endpoint}{path}")
    body = json.dumps({"model": status.model, **asked}, ensure_ascii=False)
    return [
        f"try:   curl -s --noproxy '*' {url} -H 'Content-Type: application/json' \\",
        f"         -d {shlex.quote(body)}",
    ]
