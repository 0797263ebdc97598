"""The L2 adapters of LMCache that need no choice of a backend, one model per type.

Keys, types and bounds: lmcache 0.5.6, lmcache/v1/distributed/l2_adapters, `from_dict` of each. None takes a password:
`resp` and `aerospike` read it from the environment.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Port, PositiveInt, PositiveSeconds, Seconds, Section
from dynkv.profile.l2_generic import Adapter, Bounded

Text = Annotated[str, Field(min_length=1)]
Lanes = dict[Literal["lookup", "retrieve", "store", "delete"], PositiveInt]
Bytes = Annotated[int, Field(gt=0, le=2**62)]


def _no_password(value: Any) -> Any:
    if isinstance(value, dict) and "password" in value:
        raise PydanticCustomError(
            "secret",
            "valkey reads its password from its command line alone, where everybody sees it (lmcache 0.5.6)",
            {"hint": "use type: resp, which speaks to Valkey too, and export LMCACHE_RESP_PASSWORD"},
        )
    return value


class FileSystem(Adapter):
    """LMCache's own file adapter; needs no NIXL, survives a restart of the sidecar, and knows no limit."""

    has_capacity: ClassVar[bool] = False
    type: Literal["fs"]
    """This adapter."""
    base_path: Text
    """Directory of its files. `~` and `${DYNKV_HOME}` are expanded."""
    relative_tmp_dir: str | None = None
    """Where in it a file is written before it gets its name."""
    read_ahead_size: PositiveInt | None = None
    """Bytes that are read first to set off the file system's read-ahead."""
    use_odirect: bool = False
    """Whether the page cache is passed by."""


class NativeFileSystem(Bounded):
    """Files, by threads of C++; with a limit when it has both `max_capacity_gb` and `eviction`."""

    type: Literal["fs_native"]
    """This adapter."""
    base_path: Text
    """Directory of its files. `~` and `${DYNKV_HOME}` are expanded."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4."""
    relative_tmp_dir: str | None = None
    """Where in it a file is written before it gets its name."""
    read_ahead_size: PositiveInt | None = None
    """Bytes that are read first to set off the file system's read-ahead."""
    use_odirect: bool = False
    """Whether the page cache is passed by."""


class Resp(Bounded):
    """Redis, Valkey, and what else speaks RESP. Name and password come from LMCACHE_RESP_USERNAME and
    LMCACHE_RESP_PASSWORD in the environment."""

    type: Literal["resp"]
    """This adapter."""
    host: Text
    """Where the server is."""
    port: Port
    """Of the server."""
    username: str | None = None
    """Who asks."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 8."""


class Valkey(Bounded):
    """Valkey through its own client, the cluster mode too. With a password, use `resp`."""

    type: Literal["valkey"]
    """This adapter."""
    startup_nodes: Text
    """`host:port`, several with commas between them."""
    cluster_mode: bool | None = None
    """Whether they are a cluster."""
    username: str | None = None
    """Who asks."""
    key_prefix: Annotated[str, Field(pattern=r"^[^@]*$")] | None = None
    """What the names of the blocks begin with."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 8."""
    tls_enable: bool | None = None
    """Whether the connection is encrypted."""
    database_id: Annotated[int, Field(ge=0)] | None = None
    """Which database, of a server alone."""
    request_timeout: PositiveSeconds | None = None
    """For one request, in seconds; LMCache's own is 5."""
    connection_timeout: PositiveSeconds | None = None
    """For the first connection, in seconds; LMCache's own is 10."""
    ttl_seconds: PositiveInt | None = None
    """After how long a block goes; not together with `max_capacity_gb`."""


class Aerospike(Bounded):
    """Aerospike. Name and password come from LMCACHE_AEROSPIKE_USERNAME and LMCACHE_AEROSPIKE_PASSWORD."""

    type: Literal["aerospike"]
    """This adapter."""
    hosts: Text
    """`host:port`, several with commas between them."""
    namespace: Text | None = None
    """Of the blocks; LMCache's own is `lmcache`."""
    set_name: Text | None = None
    """Of the blocks; LMCache's own is `kv_chunks`."""
    username: str | None = None
    """Who asks."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 8."""
    read_timeout_ms: PositiveInt | None = None
    """LMCache's own is 1000."""
    write_timeout_ms: PositiveInt | None = None
    """LMCache's own is 2000."""
    default_ttl_seconds: Annotated[int, Field(ge=0)] | None = None
    """After how long a block goes; LMCache's own is a day, 0 is the server's."""
    target_segment_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of one record; 0 is found out from the server."""
    max_record_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of the largest record; 0 is found out from the server."""


class S3(Bounded):
    """S3 through Amazon's own client. Its keys come from the environment (`AWS_ACCESS_KEY_ID` and so on)."""

    type: Literal["s3"]
    """This adapter."""
    s3_endpoint: Text
    """Where the bucket is."""
    s3_region: Text
    """Of the bucket."""
    s3_num_io_threads: PositiveInt | None = None
    """LMCache's own is 64."""
    s3_prefer_http2: bool | None = None
    """LMCache's own is true."""
    s3_enable_s3express: bool | None = None
    """Whether the bucket is an S3 Express one."""
    disable_tls: bool | None = None
    """Whether the connection is not encrypted."""


class HuggingFaceBucket(Bounded):
    """A bucket of the Hugging Face hub."""

    type: Literal["hfbucket"]
    """This adapter."""
    bucket_handle: Annotated[str, Field(pattern=r"^hf://buckets/[^/]+/[^/]+")]
    """`hf://buckets/NAMESPACE/BUCKET`, and a prefix if it has one."""
    token_env: str | None = None
    """In which variable of the environment the token is; LMCache's own is HF_TOKEN."""
    create_bucket_if_missing: bool | None = None
    """Whether the first block makes it."""
    download_tmp_dir: Text | None = None
    """Where downloads lie until they are read. `~` and `${DYNKV_HOME}` are expanded."""
    metadata_cache_ttl_secs: Seconds | None = None
    """How long what is known of the bucket holds, in seconds; LMCache's own is 30."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4."""


class Hf3fs(Adapter):
    """The 3FS file system, through its own client."""

    has_capacity: ClassVar[bool] = False
    type: Literal["hf3fs"]
    """This adapter."""
    mount_point: Text
    """Where it is mounted. `~` and `${DYNKV_HOME}` are expanded."""
    base_paths: Text
    """Directories below the mount point, with commas between them; they must be there. `~` and
    `${DYNKV_HOME}` are expanded."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4."""
    per_op_workers: Lanes | None = None
    """Threads of its own for each kind of work."""
    ior_entries: Annotated[int, Field(ge=128, le=1024)] | None = None
    """Length of the queue; LMCache's own is 256."""
    io_depth: Annotated[int, Field(ge=-128, le=128)] | None = None
    """How many requests go at once; LMCache's own is 0."""
    numa_id: int | None = None
    """Of the memory; -1 is any."""
    iov_size: Annotated[int, Field(ge=104857600, le=2147483648)] | None = None
    """Bytes of the shared buffer; LMCache's own is 200 MiB."""
    enable_key_buffer: bool | None = None
    """LMCache's own is true."""


class MooncakeStore(Adapter):
    """Mooncake; all other keys are handed to it."""

    model_config = ConfigDict(extra="allow")
    has_capacity: ClassVar[bool] = False
    type: Literal["mooncake_store"]
    """This adapter."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4."""
    per_op_workers: Lanes | None = None
    """Threads of its own for each kind of work."""


class NixlNative(Bounded):
    """NIXL by threads of C++; needs an LMCache that was built with it."""

    type: Literal["nixl_native"]
    """This adapter."""
    backend: Text
    """NIXL's name of the plugin, in capitals."""
    backend_params: dict[str, str] = {}
    """What the plugin takes; one that keeps files needs `file_path`."""
    num_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4."""


class DaxDevice(Section):
    device_path: Text
    """Of the device. `~` and `${DYNKV_HOME}` are expanded."""
    max_dax_size_gb: Annotated[float, Field(gt=0)]
    """How much of it is used, in GiB."""


class Dax(Adapter):
    """Memory that is mapped from a DAX device."""

    type: Literal["dax"]
    """This adapter."""
    slot_bytes: Bytes
    """Of one place for a block."""
    device_path: Text | None = None
    """Of the device, where there is one. `~` and `${DYNKV_HOME}` are expanded."""
    max_dax_size_gb: Annotated[float, Field(gt=0)] | None = None
    """How much of it is used, in GiB."""
    devices: list[DaxDevice] | None = None
    """Where there are several."""
    hotplug_enabled: bool | None = None
    """Whether devices may come and go."""
    num_store_workers: PositiveInt | None = None
    """Threads; LMCache's own is 1."""
    num_lookup_workers: PositiveInt | None = None
    """Threads; LMCache's own is 1."""
    num_load_workers: PositiveInt | None = None
    """Threads; LMCache's own is 4, or fewer where there are fewer cores."""


class RawBlock(Adapter):
    """A disk without a file system, or one large file. All other keys are those of LMCache."""

    model_config = ConfigDict(extra="allow")
    type: Literal["raw_block"]
    """This adapter."""
    device_path: Text
    """Of the disk or the file. `~` and `${DYNKV_HOME}` are expanded."""
    slot_bytes: Bytes
    """Of one place for a block; a multiple of 4096."""
    capacity_bytes: Annotated[int, Field(ge=0)] | None = None
    """How much of it is used; 0, or nothing, is all."""
    persist_enabled: Literal[True] | None = None
    """It always keeps what is stored."""


WithoutPassword = BeforeValidator(_no_password)
