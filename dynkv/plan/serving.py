"""What a deployment serves, and where it is asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What a model is asked for, in vLLM's words (0.31.0, `supported_tasks`)."""

    AUTO = "auto"
    """What its workers register it for."""
    GENERATE = "generate"
    EMBED = "embed"
    CLASSIFY = "classify"
    REALTIME = "realtime"
    """A session over a WebSocket, such as a transcription."""

    @property
    def is_pooling(self) -> bool:
        """One pass over the prompt, which leaves no KV cache."""
        return self in (Task.EMBED, Task.CLASSIFY)


@dataclass(frozen=True, slots=True)
class Frontend:
    """Where requests go in, and what proves that the deployment answers them."""

    host: str
    port: int
    model: str
    task: Task = Task.AUTO
    aliases: tuple[str, ...] = ()
    """Other names that it answers to."""
    migration_limit: int = 0
    """How often a request may go on at another worker when its own has ended."""

    @property
    def endpoint(self) -> str:
        host = local_host(self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def local_host(host: str) -> str:
    """Where to reach on this host what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA adapter; clients ask for it by its name, as for a model."""

    name: str
    uri: str
    """Where a worker finds it: `file://`, `hf://` or `s3://`."""
