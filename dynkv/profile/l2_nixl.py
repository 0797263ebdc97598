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
    """How much disk `nixl_store_dynamic` may take, in GiB; it needs one."""


class ObjectParams(Section):
    """Of an object store. Its keys come from the environment (`AWS_ACCESS_KEY_ID` and so on), never from here."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]


class NixlStore(Adapter):
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

    @model_validator(mode="after")
    def _capacity_fits_type(self) -> NixlFileStore:
        if self.type == "nixl_store_dynamic" and self.backend_params.max_capacity_gb is None:
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
