"""What a deployment serves, and where."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class Task(StrEnum):
    """What a model is used for, in vLLM's words (0.31.0, `supported_tasks`)."""

    AUTO = "auto"
    """The task that its workers register it for."""
    GENERATE = "generate"
    EMBED = "embed"
    CLASSIFY = "classify"
    REALTIME = "realtime"
    """A session over a WebSocket, such as a transcription."""

    @property
    def is_pooling(self) -> bool:
        """Whether it takes one pass over the prompt, which leaves no KV cache."""
        return self in (Task.EMBED, Task.CLASSIFY)


class Frontend(Struct, frozen=True):
    """Where clients send requests, and what proves that the deployment answers them."""

    host: str
    port: int
    model: str
    task: Task = Task.AUTO
    aliases: tuple[str, ...] = ()
    """Other names of the model."""
    migration_limit: int = 0
    """How many times a request may continue on another worker when its own has ended."""

    @property
    def endpoint(self) -> str:
        return f"http://{local_address(self.host, self.port)}"


class Listener(Struct, frozen=True):
    """Where the supervisor serves metrics."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{local_address(self.host, self.port)}/metrics"


def local_host(host: str) -> str:
    """The address at which to reach on this host what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def local_address(host: str, port: int) -> str:
    """Host and port for a URL on this host."""
    return address(local_host(host), port)


def address(host: str, port: int) -> str:
    """Host and port for a URL: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Lora(Struct, frozen=True):
    """A LoRA adapter, which clients request by its name, like a model."""

    name: str
    uri: str
    """Where a worker finds it: `file://`, `hf://` or `s3://`."""


class Node(Struct, frozen=True):
    """One of several machines that serve a model together."""

    namespace: str
    """The namespace in which all nodes are found."""
    advertise: str
    """Its address for the others."""
    deployment: str
    model: str
    """The model's name for clients."""
    etcd: tuple[str, ...]
    nats: str | None = None
    lease_ttl_s: int = 120
    """Seconds until the workers' entries in etcd expire if not renewed."""
    tls: tuple[str | None, str | None, str | None] = (None, None, None)
    """Files: the certificate of etcd's authority, this machine's certificate, and its key."""
    agreement: dict[str, str] = field(default_factory=dict)
    """What all nodes must agree on, by a readable name."""

    home: str = ""
    """A short digest of DYNKV_HOME: two nodes on one host may have the same name."""

    @property
    def name(self) -> str:
        """A name that is unique within the namespace."""
        return f"{self.advertise}/{self.deployment}/{self.home}"
