"""Whether the directories of the L2 adapters can hold what these may store. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.profile.l2_generic import Adapter
from dynkv.profile.l2_kinds import NativeFileSystem
from dynkv.profile.l2_nixl import NixlFileStore
from dynkv.profile.source import Mark

FileAdapter = NixlFileStore | NativeFileSystem
_GB = 1000**3
_GIB = 1024**3
_LARGEST = 2**63


def checks(case: Case) -> Iterator[Finding]:
    for index, adapter in enumerate(case.profile.lmcache.l2):
        yield from _l2(case, index, adapter)


def _l2(case: Case, index: int, adapter: Adapter) -> Iterator[Finding]:
    path = adapter.directory
    if path is None:
        return
    if path in case.facts.unwritable:
        yield finding(
            "l2-not-writable",
            f"the L2 directory {path} cannot be written: {case.facts.unwritable[path]}",
            "the sidecar stores KV blocks there",
            "make it writable, or choose another directory",
            _directory_mark(case, index, adapter),
        )
    if isinstance(adapter, FileAdapter):
        yield from _room(case, index, adapter, path)
        yield from _limit(case, index, adapter, path)
        if isinstance(adapter, NixlFileStore) and not adapter.survives_restart:
            yield finding(
                "l2-does-not-survive",
                f"{adapter.type} does not find its blocks again after a restart of the sidecar",
                "it gives its files new names at each start, and the old ones stay on the disk (lmcache 0.5.6)",
                "use nixl_store_dynamic or fs for a cache that lasts",
                case.loaded.where("lmcache", "l2", index, "type"),
            )


def _room(case: Case, index: int, adapter: FileAdapter, path: str) -> Iterator[Finding]:
    room, capacity = case.facts.l2_room_bytes.get(path), _capacity_bytes(adapter)
    if room is not None and capacity is not None and capacity > room:
        yield finding(
            "disk-for-l2",
            f"the L2 directory {path} may grow to {capacity / _GB:.1f} GB, but has {room / _GB:.1f} GB of room",
            "when the disk is full, blocks are not stored, and other programs that use it suffer",
            "lower max_capacity_gb or pool_size, or choose a directory on a larger disk",
            _directory_mark(case, index, adapter),
        )


def _limit(case: Case, index: int, adapter: FileAdapter, path: str) -> Iterator[Finding]:
    """The limit: at each start LMCache counts from zero what it stores and what is requested again (lmcache 0.5.6)."""
    held, capacity = case.facts.l2_held_bytes.get(path, 0), _capacity_bytes(adapter)
    if not capacity:
        return
    if adapter.eviction is None or adapter.eviction.eviction_policy == "noop":
        bounded = isinstance(adapter, NixlFileStore)
        yield finding(
            "l2-stops-storing",
            f"{adapter.type} at {path} evicts nothing",
            f"when its {capacity / _GB:.1f} GB are full, "
            + ("it stores nothing more" if bounded else "it keeps growing, since only eviction enforces the limit"),
            "give it `eviction: {eviction_policy: LRU}`",
            case.loaded.where("lmcache", "l2", index, "type"),
        )
    if held > capacity // 10 and not case.facts.is_taken_over and not _counts_pool(adapter):
        yield finding(
            "l2-grows-beyond",
            f"the L2 directory {path} holds {held / _GB:.1f} GB already and may grow to "
            f"{(held + capacity) / _GB:.1f} GB, with a limit of {capacity / _GB:.1f} GB",
            "LMCache counts from zero at each start and never evicts what is not requested again (lmcache 0.5.6)",
            "empty the directory while nothing runs, or lower max_capacity_gb so that both fit",
            _directory_mark(case, index, adapter),
        )


def _counts_pool(adapter: FileAdapter) -> bool:
    return isinstance(adapter, NixlFileStore) and adapter.type == "nixl_store"


def _capacity_bytes(adapter: FileAdapter) -> int | None:
    """The capacity in bytes; None if it is not a number, or unlimited. LMCache's gigabytes are GiB."""
    if isinstance(adapter, NativeFileSystem):
        return int(adapter.max_capacity_gb * _GIB) if adapter.max_capacity_gb else None
    params = adapter.backend_params
    try:
        if params.max_capacity_gb is not None:
            return min(int(float(params.max_capacity_gb) * _GIB), _LARGEST)
        return min(int(params.file_size or 16 * 1024**2) * (adapter.pool_size or 0), _LARGEST)
    except (ValueError, OverflowError):
        return None


def _directory_mark(case: Case, index: int, adapter: Adapter) -> Mark | None:
    key = ("base_path",) if adapter.type in ("fs", "fs_native") else ("backend_params", "file_path")
    return case.loaded.where("lmcache", "l2", index, *key)
