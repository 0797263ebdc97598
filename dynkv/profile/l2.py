"""L2 adapters of the LMCache server, one model per kind.

Each is written in the profile as `lmcache server --l2-adapter` takes it as JSON, so that what people
find in LMCache's documentation can be pasted. Source: lmcache 0.5.6, lmcache/v1/distributed/l2_adapters.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import PositiveInt, Section


def _flag(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


NixlFlag = Annotated[
    Literal["true", "false"], BeforeValidator(_flag, json_schema_input_type=bool | Literal["true", "false"])
]
"""NIXL takes its parameters as strings."""


class FileParams(Section):
    file_path: str
    """Directory of the backend's files. `~` and `${DYNKV_HOME}` are expanded."""
    use_direct_io: NixlFlag = "false"
    """Whether the page cache is passed by."""
    file_size: str | None = None
    """Bytes of one file of `nixl_store`; 16 MiB when left out, since LMCache's own default, one page of
    4 KiB, has no room for a chunk (lmcache 0.5.6)."""
    max_capacity_gb: Annotated[str | None, BeforeValidator(_number, json_schema_input_type=str | float | None)] = None
    """How much disk `nixl_store_dynamic` may take, in GB; it needs one."""


class ObjectParams(Section):
    """Of an object store. Its keys come from the environment (`AWS_ACCESS_KEY_ID` and so on), never from here."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]


class NixlStore(Section):
    """`nixl_store` and `nixl_store_dynamic`: what the NIXL storage backends have in common."""

    type: Literal["nixl_store", "nixl_store_dynamic"]
    """Which of the two; only `nixl_store_dynamic` finds its files again after a restart."""
    pool_size: PositiveInt | None = None
    """Storage slots made ahead; needed by `nixl_store`, unknown to `nixl_store_dynamic`."""

    @model_validator(mode="after")
    def _pool_fits_type(self) -> NixlStore:
        if (self.type == "nixl_store") != (self.pool_size is not None):
            need = "needs" if self.type == "nixl_store" else "takes no"
            raise PydanticCustomError("pool_size", f"{self.type} {need} pool_size")
        return self


class NixlFileStore(NixlStore):
    backend_params: FileParams
    """Of a backend that keeps files."""
    persist_enabled: bool | None = None
    """Keep the files when the sidecar ends; only `nixl_store_dynamic` knows it."""

    @model_validator(mode="after")
    def _persistence_fits_type(self) -> NixlFileStore:
        dynamic = self.type == "nixl_store_dynamic"
        if not dynamic and self.persist_enabled is not None:
            raise PydanticCustomError("persist", "only nixl_store_dynamic knows persist_enabled")
        if dynamic and self.backend_params.max_capacity_gb is None:
            raise PydanticCustomError("capacity", "nixl_store_dynamic needs max_capacity_gb in backend_params")
        return self

    @property
    def survives_restart(self) -> bool:
        """`nixl_store` names its files anew at each start and finds none of the old ones (lmcache 0.5.6)."""
        return self.type == "nixl_store_dynamic" and self.persist_enabled is not False


class NixlPosix(NixlFileStore):
    backend: Literal["POSIX"]
    """Files, through the page cache or beside it."""


class NixlGds(NixlFileStore):
    backend: Literal["GDS"]
    """NVIDIA GPUDirect Storage."""


class NixlGdsMt(NixlFileStore):
    backend: Literal["GDS_MT"]
    """GPUDirect Storage with several threads."""


class NixlHf3fs(NixlFileStore):
    backend: Literal["HF3FS"]
    """The 3FS file system."""


class NixlObj(NixlStore):
    backend: Literal["OBJ"]
    """An S3 object store."""
    backend_params: ObjectParams = Field(default_factory=lambda: ObjectParams())


class NixlAzureBlob(NixlStore):
    backend: Literal["AZURE_BLOB"]
    """Azure Blob Storage."""
    backend_params: ObjectParams = Field(default_factory=lambda: ObjectParams())


class FileSystem(Section):
    """LMCache's own file adapter; needs no NIXL and survives a restart of the sidecar."""

    type: Literal["fs"]
    """This adapter."""
    base_path: Annotated[str, Field(min_length=1)]
    """Directory of its files. `~` and `${DYNKV_HOME}` are expanded."""
    relative_tmp_dir: str | None = None
    """Where in it a file is written before it gets its name."""
    read_ahead_size: PositiveInt | None = None
    """Bytes that are read first to set off the file system's read-ahead."""
    use_odirect: bool = False
    """Whether the page cache is passed by."""


class RawAdapter(Section):
    """Any other adapter that LMCache knows, handed on as it stands."""

    model_config = ConfigDict(extra="allow")
    type: Annotated[str, Field(min_length=1)]
    """Its name in LMCache."""


_NIXL_TYPES = ("nixl_store", "nixl_store_dynamic")
_BACKENDS = ("POSIX", "GDS", "GDS_MT", "HF3FS", "OBJ", "AZURE_BLOB")


def _kind(value: Any) -> str:
    """The tag of the model that an adapter is checked against."""
    given = value if isinstance(value, dict) else value.model_dump() if isinstance(value, Section) else {}
    if given.get("type") in _NIXL_TYPES:
        return str(given.get("backend"))
    return "fs" if given.get("type") == "fs" else "raw"


def _refuse_slips(value: Any) -> Any:
    """Raise for what is plainly a slip of the pen, before a model is chosen by it."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if not isinstance(kind, str):
        raise PydanticCustomError("l2_type", "an L2 adapter needs a type: nixl_store, fs, or another one of LMCache's")
    if kind in _NIXL_TYPES and value.get("backend") not in _BACKENDS:
        raise _unknown("backend of NIXL", str(value.get("backend")), _BACKENDS)
    if kind not in _NIXL_TYPES and not kind.startswith("fs"):
        near = difflib.get_close_matches(kind, _NIXL_TYPES, n=1, cutoff=0.8)
        if near:
            raise _unknown("type of L2 adapter", kind, _NIXL_TYPES)
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
    | Annotated[RawAdapter, Tag("raw")],
    Discriminator(_kind),
    BeforeValidator(_refuse_slips),
]


def directory(adapter: L2Adapter) -> str | None:
    """The directory an adapter keeps its files in, as the profile names it; None if it has none."""
    if isinstance(adapter, NixlFileStore):
        return adapter.backend_params.file_path
    return adapter.base_path if isinstance(adapter, FileSystem) else None
