"""The L2 adapters of LMCache that have no backend to choose, one model per type.

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
            "valkey takes its password only on the command line, where everyone can see it (lmcache 0.5.6)",
            {"hint": "use type: resp, which works with Valkey too, and export LMCACHE_RESP_PASSWORD"},
        )
    return value


class FileSystem(Adapter):
    """LMCache's own file adapter: needs no NIXL, survives a restart of the sidecar, and has no limit."""

    has_capacity: ClassVar[bool] = False
    type: Literal["fs"]
    """Selects this adapter."""
    base_path: Text
    """Directory for the files. `~` and `${DYNKV_HOME}` are expanded."""
    relative_tmp_dir: str | None = None
    """Subdirectory in which a file is written before it is renamed."""
    read_ahead_size: PositiveInt | None = None
    """Number of bytes read first to trigger the file system's read-ahead."""
    use_odirect: bool = False
    """Whether to bypass the page cache."""

    @property
    def directory(self) -> str | None:
        return self.base_path


class NativeFileSystem(Bounded):
    """Files, written by C++ threads; limited if it has both `max_capacity_gb` and `eviction`."""

    type: Literal["fs_native"]
    """Selects this adapter."""
    base_path: Text
    """Directory for the files. `~` and `${DYNKV_HOME}` are expanded."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 4."""
    relative_tmp_dir: str | None = None
    """Subdirectory in which a file is written before it is renamed."""
    read_ahead_size: PositiveInt | None = None
    """Number of bytes read first to trigger the file system's read-ahead."""
    use_odirect: bool = False
    """Whether to bypass the page cache."""

    @property
    def directory(self) -> str | None:
        return self.base_path


class Resp(Bounded):
    """Redis, Valkey and other servers that speak RESP. Name and password come from LMCACHE_RESP_USERNAME and
    LMCACHE_RESP_PASSWORD in the environment."""

    type: Literal["resp"]
    """Selects this adapter."""
    host: Text
    """Host name of the server."""
    port: Port
    """Port of the server."""
    username: str | None = None
    """User name to log in with."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 8."""


class Valkey(Bounded):
    """Valkey through its own client, including cluster mode. With a password, use `resp`."""

    type: Literal["valkey"]
    """Selects this adapter."""
    startup_nodes: Text
    """`host:port`, several separated by commas."""
    cluster_mode: bool | None = None
    """Whether the nodes form a cluster."""
    username: str | None = None
    """User name to log in with."""
    key_prefix: Annotated[str, Field(pattern=r"^[^@]*$")] | None = None
    """Prefix of the blocks' keys."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 8."""
    tls_enable: bool | None = None
    """Whether to encrypt the connection."""
    database_id: Annotated[int, Field(ge=0)] | None = None
    """The database of a standalone server."""
    request_timeout: PositiveSeconds | None = None
    """Timeout of a request in seconds; LMCache's default is 5."""
    connection_timeout: PositiveSeconds | None = None
    """Timeout of the first connection in seconds; LMCache's default is 10."""
    ttl_seconds: PositiveInt | None = None
    """Seconds until a block expires; not together with `max_capacity_gb`."""


class Aerospike(Bounded):
    """Aerospike. Name and password come from LMCACHE_AEROSPIKE_USERNAME and LMCACHE_AEROSPIKE_PASSWORD."""

    type: Literal["aerospike"]
    """Selects this adapter."""
    hosts: Text
    """`host:port`, several separated by commas."""
    namespace: Text | None = None
    """Namespace of the blocks; LMCache's default is `lmcache`."""
    set_name: Text | None = None
    """Set of the blocks; LMCache's default is `kv_chunks`."""
    username: str | None = None
    """User name to log in with."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 8."""
    read_timeout_ms: PositiveInt | None = None
    """Timeout of a read in milliseconds; LMCache's default is 1000."""
    write_timeout_ms: PositiveInt | None = None
    """Timeout of a write in milliseconds; LMCache's default is 2000."""
    default_ttl_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds until a block expires; LMCache's default is a day, 0 is the server's."""
    target_segment_bytes: Annotated[int, Field(ge=0)] | None = None
    """Target size of one record in bytes; 0 asks the server."""
    max_record_bytes: Annotated[int, Field(ge=0)] | None = None
    """Largest size of a record in bytes; 0 asks the server."""


class S3(Bounded):
    """S3 through Amazon's own client. Keys come from the environment (`AWS_ACCESS_KEY_ID` and so on)."""

    type: Literal["s3"]
    """Selects this adapter."""
    s3_endpoint: Text
    """Endpoint of the bucket."""
    s3_region: Text
    """Region of the bucket."""
    s3_num_io_threads: PositiveInt | None = None
    """Number of I/O threads; LMCache's default is 64."""
    s3_prefer_http2: bool | None = None
    """Whether to prefer HTTP/2; LMCache's default is true."""
    s3_enable_s3express: bool | None = None
    """Whether the bucket is an S3 Express bucket."""
    disable_tls: bool | None = None
    """Whether to leave the connection unencrypted."""


class HuggingFaceBucket(Bounded):
    """A bucket on the Hugging Face Hub."""

    type: Literal["hfbucket"]
    """Selects this adapter."""
    bucket_handle: Annotated[str, Field(pattern=r"^hf://buckets/[^/]+/[^/]+")]
    """`hf://buckets/NAMESPACE/BUCKET`, and a prefix if there is one."""
    token_env: str | None = None
    """Environment variable that holds the token; LMCache's default is HF_TOKEN."""
    create_bucket_if_missing: bool | None = None
    """Whether to create the bucket with the first block."""
    download_tmp_dir: Text | None = None
    """Directory for downloads until they are read. `~` and `${DYNKV_HOME}` are expanded."""
    metadata_cache_ttl_secs: Seconds | None = None
    """Seconds for which metadata of the bucket is cached; LMCache's default is 30."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 4."""


class Hf3fs(Adapter):
    """The 3FS file system through its own client."""

    has_capacity: ClassVar[bool] = False
    type: Literal["hf3fs"]
    """Selects this adapter."""
    mount_point: Text
    """Mount point of the file system. `~` and `${DYNKV_HOME}` are expanded."""
    base_paths: Text
    """Existing directories below the mount point, separated by commas. `~` and `${DYNKV_HOME}` are expanded."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 4."""
    per_op_workers: Lanes | None = None
    """Separate threads for each kind of operation."""
    ior_entries: Annotated[int, Field(ge=128, le=1024)] | None = None
    """Length of the queue; LMCache's default is 256."""
    io_depth: Annotated[int, Field(ge=-128, le=128)] | None = None
    """Number of requests submitted at once; LMCache's default is 0."""
    numa_id: int | None = None
    """NUMA node of the memory; -1 is any."""
    iov_size: Annotated[int, Field(ge=104857600, le=2147483648)] | None = None
    """Size of the shared buffer in bytes; LMCache's default is 200 MiB."""
    enable_key_buffer: bool | None = None
    """Whether to use a key buffer; LMCache's default is true."""


class MooncakeStore(Adapter):
    """Mooncake; all other keys are passed on to it."""

    model_config = ConfigDict(extra="allow")
    has_capacity: ClassVar[bool] = False
    type: Literal["mooncake_store"]
    """Selects this adapter."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 4."""
    per_op_workers: Lanes | None = None
    """Separate threads for each kind of operation."""


class NixlNative(Bounded):
    """NIXL with C++ threads; needs an LMCache that was built with it."""

    type: Literal["nixl_native"]
    """Selects this adapter."""
    backend: Text
    """NIXL's name of the plugin, in capitals."""
    backend_params: dict[str, str] = {}
    """Parameters of the plugin; one that stores files needs `file_path`."""
    num_workers: PositiveInt | None = None
    """Number of threads; LMCache's default is 4."""


class DaxDevice(Section):
    device_path: Text
    """Path of the device. `~` and `${DYNKV_HOME}` are expanded."""
    max_dax_size_gb: Annotated[float, Field(gt=0)]
    """How much of the device to use, in GiB."""


class Dax(Adapter):
    """Memory mapped from a DAX device."""

    type: Literal["dax"]
    """Selects this adapter."""
    slot_bytes: Bytes
    """Size of a slot for one block, in bytes."""
    device_path: Text | None = None
    """Path of the device, if there is only one. `~` and `${DYNKV_HOME}` are expanded."""
    max_dax_size_gb: Annotated[float, Field(gt=0)] | None = None
    """How much of the device to use, in GiB."""
    devices: list[DaxDevice] | None = None
    """The devices, if there are several."""
    hotplug_enabled: bool | None = None
    """Whether devices may be added and removed at run time."""
    num_store_workers: PositiveInt | None = None
    """Number of threads that store; LMCache's default is 1."""
    num_lookup_workers: PositiveInt | None = None
    """Number of threads that look up; LMCache's default is 1."""
    num_load_workers: PositiveInt | None = None
    """Number of threads that load; LMCache's default is 4, or the number of cores if smaller."""


class RawBlock(Adapter):
    """A disk without a file system, or one large file. Other keys are LMCache's."""

    model_config = ConfigDict(extra="allow")
    type: Literal["raw_block"]
    """Selects this adapter."""
    device_path: Text
    """Path of the disk or the file. `~` and `${DYNKV_HOME}` are expanded."""
    slot_bytes: Bytes
    """Size of a slot for one block, in bytes; a multiple of 4096."""
    capacity_bytes: Annotated[int, Field(ge=0)] | None = None
    """How much of it to use, in bytes; 0 or null is everything."""
    persist_enabled: Literal[True] | None = None
    """Always true: it keeps what is stored."""


WithoutPassword = BeforeValidator(_no_password)
