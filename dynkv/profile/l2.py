"""L2 adapters of the LMCache server, and the model that validates each.

A profile contains each adapter in the form that `lmcache server --l2-adapter` takes as JSON, so examples from LMCache's
documentation can be pasted. Source: lmcache 0.5.6, lmcache/v1/distributed/l2_adapters.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Section
from dynkv.profile.l2_generic import Adapter, Bounded, RawAdapter
from dynkv.profile.l2_kinds import (
    S3,
    Aerospike,
    Dax,
    FileSystem,
    Hf3fs,
    HuggingFaceBucket,
    MooncakeStore,
    NativeFileSystem,
    NixlNative,
    RawBlock,
    Resp,
    Valkey,
    WithoutPassword,
)
from dynkv.profile.l2_nixl import (
    NixlAzureBlob,
    NixlGds,
    NixlGdsMt,
    NixlHf3fs,
    NixlObj,
    NixlPosix,
)

_NIXL_TYPES = ("nixl_store", "nixl_store_dynamic")
_TYPES = (
    *_NIXL_TYPES,
    *("fs", "fs_native", "nixl_native", "raw_block", "dax", "hf3fs", "s3", "resp", "valkey", "mooncake_store"),
    *("hfbucket", "aerospike"),
)
_BACKENDS = ("POSIX", "GDS", "GDS_MT", "HF3FS", "OBJ", "AZURE_BLOB")

_SLIP = 0.9
"""Similarity from which an unknown type is a typo, and not one of a newer LMCache."""


def _kind(value: Any) -> str:
    """The tag of the model that validates an adapter."""
    given = value if isinstance(value, dict) else value.model_dump() if isinstance(value, Section) else {}
    if given.get("type") in _NIXL_TYPES:
        return str(given.get("backend"))
    kind = given.get("type")
    return str(kind) if kind in _TYPES else "raw"


def _refuse_slips(value: Any) -> Any:
    """Raise for an obvious typo, before it selects a model."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if not isinstance(kind, str):
        raise PydanticCustomError("l2_type", "an L2 adapter needs a type: nixl_store, fs, or another type of LMCache")
    if kind in _NIXL_TYPES and value.get("backend") not in _BACKENDS:
        raise _unknown("backend of NIXL", str(value.get("backend")), _BACKENDS)
    if kind not in _TYPES and difflib.get_close_matches(kind, _TYPES, n=1, cutoff=_SLIP):
        raise _unknown("type of L2 adapter", kind, _TYPES)
    return value


def _unknown(what: str, given: str, known: tuple[str, ...]) -> PydanticCustomError:
    near = difflib.get_close_matches(given.lower(), [k.lower() for k in known], n=1)
    hint = f"; did you mean {next(k for k in known if k.lower() == near[0])}?" if near else ""
    return PydanticCustomError("l2", f"unknown {what}: {given}{hint} (known: {', '.join(known)})")


L2Adapter = Annotated[
    Annotated[NixlPosix, Tag("POSIX")]
    | Annotated[NixlGds, Tag("GDS")]
    | Annotated[NixlGdsMt, Tag("GDS_MT")]
    | Annotated[NixlHf3fs, Tag("HF3FS")]
    | Annotated[NixlObj, Tag("OBJ")]
    | Annotated[NixlAzureBlob, Tag("AZURE_BLOB")]
    | Annotated[FileSystem, Tag("fs")]
    | Annotated[NativeFileSystem, Tag("fs_native")]
    | Annotated[NixlNative, Tag("nixl_native")]
    | Annotated[RawBlock, Tag("raw_block")]
    | Annotated[Dax, Tag("dax")]
    | Annotated[Hf3fs, Tag("hf3fs")]
    | Annotated[S3, Tag("s3")]
    | Annotated[Resp, Tag("resp")]
    | Annotated[Valkey, WithoutPassword, Tag("valkey")]
    | Annotated[MooncakeStore, Tag("mooncake_store")]
    | Annotated[HuggingFaceBucket, Tag("hfbucket")]
    | Annotated[Aerospike, Tag("aerospike")]
    | Annotated[RawAdapter, Tag("raw")],
    Discriminator(_kind),
    BeforeValidator(_refuse_slips),
]


def capacity_gb(adapter: Adapter) -> float | None:
    """The adapter's capacity in GiB; None if nothing known to dynkv limits it."""
    if isinstance(adapter, Bounded):
        return adapter.max_capacity_gb or None if adapter.eviction is not None else None
    given = getattr(getattr(adapter, "backend_params", None), "max_capacity_gb", None)
    return float(given) if given else None
