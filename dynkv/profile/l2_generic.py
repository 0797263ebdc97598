"""What every L2 adapter of LMCache takes, whatever its type.

Source: lmcache 0.5.6, l2_adapters/config.py, `parse_args_to_l2_adapters_config`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Fraction, Section


class Eviction(Section):
    """What goes when the adapter is full. It needs an adapter that knows its own capacity."""

    eviction_policy: Literal["LRU", "ARC", "IsolatedLRU", "noop"]
    """Which blocks go first; `IsolatedLRU` goes by the quota of each cache salt."""
    trigger_watermark: Fraction | None = None
    """From which share of the capacity on blocks go; LMCache's own is 0.8."""
    eviction_ratio: Fraction | None = None
    """Which share of the blocks goes at once; LMCache's own is 0.2."""


class Serde(Section):
    """How blocks are changed on their way to the adapter and back. Further keys are those of its type."""

    model_config = ConfigDict(extra="allow")
    type: Annotated[str, Field(min_length=1)]
    """`fp8`, `aesgcm`, `turboquant` or another one of LMCache's."""


class Adapter(Section):
    """The base of all adapters."""

    has_capacity: ClassVar[bool] = True
    """Whether LMCache can know how full it is; only then it evicts by anything but quotas."""

    type: Annotated[str, Field(min_length=1)]
    """Its name in LMCache."""
    eviction: Eviction | None = None
    """What goes when it is full; without it nothing does."""
    serde: Serde | None = None
    """How blocks are changed on their way, to save room or to encrypt them."""
    persist_enabled: bool | None = None
    """Keep what is stored when the sidecar ends, which is LMCache's default; only `nixl_store_dynamic` deletes."""
    shared: bool | None = None
    """Whether other servers store there too."""
    affinity_tag: Annotated[str, Field(min_length=1, pattern=r"\S")] | None = None
    """Which part of L1 it belongs to; LMCache's own is `_default`."""

    @model_validator(mode="after")
    def _eviction_can_work(self) -> Adapter:
        policy = self.eviction.eviction_policy if self.eviction is not None else "noop"
        if policy in ("LRU", "ARC") and not self.has_capacity:
            raise PydanticCustomError(
                "eviction",
                "LMCache evicts nothing from {type}, which has no capacity",
                {"type": self.type, "hint": "for files with a limit, use fs_native or nixl_store_dynamic"},
            )
        return self


Gigabytes = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Bounded(Adapter):
    """An adapter that counts what it stores."""

    max_capacity_gb: Gigabytes | None = None
    """How much it may hold, in GiB; it is kept only together with `eviction`. 0, or nothing, is no limit."""

    @model_validator(mode="after")
    def _capacity_to_evict_by(self) -> Bounded:
        if self.eviction is not None and self.eviction.eviction_policy in ("LRU", "ARC") and not self.max_capacity_gb:
            raise PydanticCustomError("eviction", f"eviction of {self.type} needs max_capacity_gb")
        return self


class RawAdapter(Adapter):
    """Any other adapter that LMCache knows, handed on as it stands, but for the keys that all adapters have."""

    model_config = ConfigDict(extra="allow")
