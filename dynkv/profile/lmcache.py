"""The sidecar: LMCache's server, and the cache levels below RAM."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.arguments import SidecarArgs
from dynkv.profile.cluster import CoordinatorUrl
from dynkv.profile.environment import StackEnvironment
from dynkv.profile.fields import Gibibytes, Period, Port, Section, WholeSeconds
from dynkv.profile.l2 import L2Adapter


class LMCache(Section):
    """The sidecar that keeps KV blocks beyond the workers' own memory."""

    enabled: bool = True
    """Whether there is a sidecar."""
    layout: Literal["prefill", "both"] = "prefill"
    """In disagg, whose KV blocks are kept: those of `prefill`, or of `both`, where decode stores what it generates,
    too, in a sidecar of its own."""
    l1_size_gb: Gibibytes | Literal["auto"] = "auto"
    """RAM for KV blocks of each sidecar, in GiB; `auto` takes 20 for GPU workers, less where RAM is short, and 1 on a
    CPU."""
    chunk_size: Annotated[int, Field(ge=1, le=1024**2)] = 256
    """Tokens in one cached chunk; a multiple of the workers' block size."""
    eviction_policy: Literal["LRU", "ARC", "IsolatedLRU", "noop"] = "LRU"
    """What goes when L1 is full."""
    worker_reap_timeout_s: WholeSeconds = 30
    """After how long without a heartbeat a dead worker's memory is given back: 30 is LMCache's least, 0 never."""
    worker_registration_grace_s: WholeSeconds = 3600
    """The same for a worker that has not sent its first heartbeat. A lower value ends idle, healthy workers."""
    heartbeat_interval_s: Period = 1.0
    """How often a worker asks whether the sidecar lives. One that is back sooner than this goes unnoticed, and
    the worker's next request hangs (lmcache 0.5.6); LMCache's own 10 is longer than a restart takes."""
    p2p: CoordinatorUrl | None = None
    """In a cluster, as `http://10.0.0.1:9300`: where LMCache's coordinator is, by which sidecars read what those of
    other nodes hold in L1. The node with that address runs it."""
    l2: Annotated[list[L2Adapter], Field(max_length=64)] = []
    """Cache levels below RAM, as `lmcache server --l2-adapter` takes them; decode's own sidecar has none."""
    port: Port = 5555
    """Where workers reach it; the next free one when it is taken."""
    http_port: Port = 8080
    """Of its health and metrics; the next free one when it is taken."""
    args: SidecarArgs = []
    """Extra arguments for `lmcache server`, one list item for each word."""
    env: StackEnvironment = {}
    """Added to its environment alone, after the profile's `env`."""

    @model_validator(mode="after")
    def _reaping_is_possible(self) -> Self:
        if 0 < self.worker_reap_timeout_s < 30:
            raise PydanticCustomError(
                "reap", "worker_reap_timeout_s must be 0 or at least 30", {"key": "lmcache.worker_reap_timeout_s"}
            )
        if self.worker_registration_grace_s < self.worker_reap_timeout_s:
            raise PydanticCustomError("reap", "worker_registration_grace_s must not be below worker_reap_timeout_s")
        return self
