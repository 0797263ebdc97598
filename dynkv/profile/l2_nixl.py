"""L2 through NIXL: `nixl_store` and `nixl_store_dynamic`, one model per backend. Source: lmcache 0.5.6."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import PositiveInt, Section
from dynkv.profile.l2_generic import Adapter


def _flag(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


NixlFlag = Annotated[
    Literal["true", "false"], BeforeValidator(_flag, json_schema_input_type=bool | Literal["true", "false"])
]
"""A flag as text: NIXL takes its parameters as strings."""


class FileParams(Section):
    file_path: str
    """Directory for the backend's files. `~` and `${DYNKV_HOME}` are expanded."""
    use_direct_io: NixlFlag = "false"
    """Whether to bypass the page cache."""
    file_size: str | None = None
    """Size of one file of `nixl_store` in bytes; 16 MiB by default, since LMCache's own default, one page of 4 KiB,
    has no room for a chunk (lmcache 0.5.6)."""
    max_capacity_gb: Annotated[str | None, BeforeValidator(_number, json_schema_input_type=str | float | None)] = None
    """How much disk space `nixl_store_dynamic`, which requires it, may use, in GiB."""


class ObjectParams(Section):
    """Parameters of an object store. Keys come from the environment (`AWS_ACCESS_KEY_ID` and so on), never from
    here."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]


class NixlStore(Adapter):
    """The common part of `nixl_store` and `nixl_store_dynamic`, which store through NIXL's backends."""

    type: Literal["nixl_store", "nixl_store_dynamic"]
    """Which of the two; only `nixl_store_dynamic` finds its files again after a restart."""
    pool_size: PositiveInt | None = None
    """Number of storage slots made in advance; required by `nixl_store`, unknown to `nixl_store_dynamic`."""

    @model_validator(mode="after")
    def _pool_fits_type(self) -> NixlStore:
        if (self.type == "nixl_store") != (self.pool_size is not None):
            need = "needs" if self.type == "nixl_store" else "takes no"
            raise PydanticCustomError("pool_size", f"{self.type} {need} pool_size")
        return self


class NixlFileStore(NixlStore):
    backend_params: FileParams
    """Parameters of a backend that stores files."""

    @model_validator(mode="after")
    def _capacity_fits_type(self) -> NixlFileStore:
        if self.type == "nixl_store_dynamic" and self.backend_params.max_capacity_gb is None:
            raise PydanticCustomError("capacity", "nixl_store_dynamic needs max_capacity_gb in backend_params")
        return self

    @property
    def directory(self) -> str | None:
        return self.backend_params.file_path

    @property
    def survives_restart(self) -> bool:
        """Whether files are found again: `nixl_store` gives its files new names at each start (lmcache 0.5.6)."""
        return self.type == "nixl_store_dynamic" and self.persist_enabled is not False


class NixlPosix(NixlFileStore):
    backend: Literal["POSIX"]
    """Files, with or without the page cache."""


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
