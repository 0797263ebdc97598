"""What every L2 adapter of LMCache accepts, whatever its type."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Fraction, Section


class Eviction(Section):
    """What is evicted when the adapter is full. Requires an adapter that knows its capacity."""

    eviction_policy: Literal["LRU", "ARC", "IsolatedLRU", "noop"]
    """Which blocks are evicted first; `IsolatedLRU` goes by the quota of each cache salt."""
    trigger_watermark: Fraction | None = None
    """The share of the capacity in use at which eviction begins; LMCache's default is 0.8."""
    eviction_ratio: Fraction | None = None
    """The share of the blocks evicted at once; LMCache's default is 0.2."""


class Serde(Section):
    """How blocks are encoded for the adapter and decoded again. Further keys depend on the type."""

    model_config = ConfigDict(extra="allow")
    type: Annotated[str, Field(min_length=1)]
    """`fp8`, `aesgcm`, `turboquant` or another type of LMCache."""


class Adapter(Section):
    """Base class of all adapters."""

    has_capacity: ClassVar[bool] = True
    """Whether LMCache can know how full the adapter is; otherwise it evicts only by quota."""

    type: Annotated[str, Field(min_length=1)]
    """The adapter's name in LMCache."""
    eviction: Eviction | None = None
    """What is evicted when the adapter is full; without it, nothing is."""
    serde: Serde | None = None
    """How blocks are encoded, to save space or to encrypt them."""
    persist_enabled: bool | None = None
    """Keep what is stored when the sidecar ends, as LMCache does by default; only `nixl_store_dynamic` deletes it."""
    shared: bool | None = None
    """Whether other servers use the same store."""
    affinity_tag: Annotated[str, Field(min_length=1, pattern=r"\S")] | None = None
    """The part of L1 that the adapter belongs to; LMCache's default is `_default`."""

    @property
    def directory(self) -> str | None:
        """The directory in which it keeps its files, as in the profile; None if it has none."""
        return None

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
    """An adapter that tracks how much it stores."""

    max_capacity_gb: Gigabytes | None = None
    """The capacity in GiB, which is enforced only together with `eviction`. 0 or null means unlimited."""

    @model_validator(mode="after")
    def _capacity_to_evict_by(self) -> Bounded:
        if self.eviction is not None and self.eviction.eviction_policy in ("LRU", "ARC") and not self.max_capacity_gb:
            raise PydanticCustomError("eviction", f"eviction of {self.type} needs max_capacity_gb")
        return self


class RawAdapter(Adapter):
    """Any other adapter that LMCache knows, passed on unchanged except for the keys that all adapters have."""

    model_config = ConfigDict(extra="allow")
