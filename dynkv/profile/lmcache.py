"""The sidecar, LMCache's server, and the cache levels below RAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.apart import later
from dynkv.profile.arguments import SidecarArgs
from dynkv.profile.cluster import CoordinatorUrl
from dynkv.profile.environment import StackEnvironment
from dynkv.profile.fields import Gibibytes, Period, Port, Section, WholeSeconds


def _of_any_type() -> Any:
    from dynkv.profile.l2 import L2Adapter  # with thirty models

    return L2Adapter


if TYPE_CHECKING:
    from dynkv.profile.l2 import L2Adapter
else:
    L2Adapter = later(_of_any_type)


class LMCache(Section):
    """The sidecar that keeps KV blocks beyond the workers' own memory."""

    enabled: bool = True
    """Whether there is a sidecar."""
    layout: Literal["prefill", "both"] = "prefill"
    """In disagg, whose KV blocks are kept: `prefill`, or `both`, where decode also stores what it generates, in a
    sidecar of its own."""
    l1_size_gb: Gibibytes | Literal["auto"] = "auto"
    """RAM of each sidecar for KV blocks, in GiB; `auto` is 20 for GPU workers, less if RAM is short, and 1 on a CPU."""
    chunk_size: Annotated[int, Field(ge=1, le=1024**2)] = 256
    """Tokens in one cached chunk; a multiple of the workers' block size."""
    eviction_policy: Literal["LRU", "ARC", "IsolatedLRU", "noop"] = "LRU"
    """Which blocks are evicted when L1 is full."""
    worker_reap_timeout_s: WholeSeconds = 30
    """Seconds without a heartbeat after which a dead worker's memory is released: LMCache's minimum is 30, and 0
    means never."""
    worker_registration_grace_s: WholeSeconds = 3600
    """The same for a worker that has not sent a heartbeat yet. A low value ends idle, healthy workers."""
    heartbeat_interval_s: Period = 1.0
    """Seconds between a worker's heartbeats to the sidecar. A sidecar that restarts faster than this goes unnoticed,
    and the worker's next request hangs (lmcache 0.5.6); LMCache's default of 10 is longer than a restart takes."""
    p2p: CoordinatorUrl | None = None
    """In a cluster, the address of LMCache's coordinator, such as `http://10.0.0.1:9300`, through which sidecars
    read what those of other nodes hold in L1. The node with that address runs it."""
    l2: Annotated[list[L2Adapter], Field(max_length=64)] = []
    """Cache levels below RAM, as `lmcache server --l2-adapter` takes them; decode's own sidecar has none."""
    port: Port = 5555
    """Port for the workers; the next free one if it is taken."""
    http_port: Port = 8080
    """Port for health and metrics; the next free one if it is taken."""
    args: SidecarArgs = []
    """Extra arguments for `lmcache server`, one list item for each word."""
    env: StackEnvironment = {}
    """Variables for the sidecar alone, added after the profile's `env`."""

    @model_validator(mode="after")
    def _reaping_is_possible(self) -> Self:
        if 0 < self.worker_reap_timeout_s < 30:
            raise PydanticCustomError(
                "reap", "worker_reap_timeout_s must be 0 or at least 30", {"key": "lmcache.worker_reap_timeout_s"}
            )
        if self.worker_registration_grace_s < self.worker_reap_timeout_s:
            raise PydanticCustomError("reap", "worker_registration_grace_s must not be below worker_reap_timeout_s")
        return self
