"""Whether the host has enough memory and high enough limits for the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.lmcache import l1_size_gb
from dynkv.profile.l2_nixl import NixlStore

_GIB = 1024**3
_RANKS_BYTES = 160 * 1024**2
"""Size of one worker's queue to its ranks: 10 chunks of 16 MiB. Source: vllm 0.31.0, shm_broadcast.py and
VLLM_MQ_MAX_CHUNK_BYTES_MB."""
_OPEN_FILES = 1024
"""The usual limit of a host, with which dynkv was run."""
_HUGE_PAGES = "--l1-use-hugepages"


def checks(case: Case) -> Iterator[Finding]:
    yield from _memory(case)
    yield from _standby(case)
    yield from _parked(case)
    yield from _shared_memory(case)
    yield from _huge_pages(case)
    yield from _open_files(case)


def _l1_bytes(case: Case) -> int:
    """L1 of all sidecars together."""
    return int(l1_size_gb(case.profile, case.facts) * _GIB) * case.sidecars


def _memory(case: Case) -> Iterator[Finding]:
    l1, available = _l1_bytes(case), case.facts.memory_available_bytes
    each = " for each of two sidecars" if case.sidecars == 2 else ""
    free = f"{available / _GIB:.1f} GiB of memory are free"
    if l1 > available:
        yield finding(
            "l1-too-large",
            f"lmcache.l1_size_gb is {l1 / case.sidecars / _GIB:g}{each}, but {free}",
            "the sidecar would be killed, or push everything else out of memory",
            f"set it to {max(1, int(available / _GIB / 2 / case.sidecars))} or less, or to auto" + _or_unpark(case),
            case.loaded.where("lmcache", "l1_size_gb"),
        )
        return
    workers = _held_by_cpu_workers(case)
    if workers and l1 + workers > available:
        yield finding(
            "memory-short",
            f"L1 and the workers take {(l1 + workers) / _GIB:.1f} GiB, but {free}",
            f"L1 takes {l1 / _GIB:g} GiB, weights and KV cache of {len(case.plan.workers)} workers take "
            f"{workers / _GIB:.1f} GiB, and the programs themselves come on top",
            "lower workers.cpu_kv_cache_gb or lmcache.l1_size_gb, or use a smaller model" + _or_unpark(case),
            case.loaded.where("workers", "cpu_kv_cache_gb"),
        )


def _or_unpark(case: Case) -> str:
    parked = case.facts.parked_bytes
    return f"; `dynkv park --stop` frees {parked / _GIB:.1f} GiB" if parked else ""


def _held_by_cpu_workers(case: Case) -> int:
    """KV cache of each rank, and the weights once per copy of the engine. Zero if GPUs hold them."""
    if not case.has_engine or case.plan.device != "cpu":
        return 0
    files = case.facts.model_files
    workers = case.profile.workers
    weights = files.weights_bytes * workers.data_parallel_size if files else 0
    each = workers.cpu_kv_cache_gb * _GIB * workers.ranks + weights
    return each * len(case.plan.workers)


def _standby(case: Case) -> Iterator[Finding]:
    """Memory of a standby. It is checked again before parking, when the workers have taken theirs. What is parked for
    the host has its memory already."""
    kept = max(0, sum(standby.memory_bytes for standby in case.plan.standbys if standby.keep) - case.facts.parked_bytes)
    available = case.facts.memory_available_bytes
    if kept and kept + _l1_bytes(case) > available:
        yield finding(
            "standby-memory",
            f"a standby that stays takes {kept / _GIB:.1f} GiB besides L1, but {available / _GIB:.1f} GiB of memory "
            "are free",
            "until there is enough, workers are restarted without the standby",
            "lower lmcache.l1_size_gb, or set standby to start",
            case.loaded.where("standby"),
        )


def _parked(case: Case) -> Iterator[Finding]:
    if parked := case.facts.parked_bytes:
        yield finding(
            "imports-parked",
            f"imports are parked for the host, with {parked / _GIB:.1f} GiB of memory",
            "`up` starts from them if they are the ones it needs",
            "`dynkv park` shows them, `dynkv park --stop` ends them",
        )


def _shared_memory(case: Case) -> Iterator[Finding]:
    free, l1 = case.facts.shm_free_bytes, _l1_bytes(case)
    if free is None or not case.has_engine or case.facts.is_taken_over:
        return
    larger = "mount it larger: mount -o remount,size=… /dev/shm; for a container, docker run --shm-size"
    if case.plan.device == "cpu" and free < l1 <= case.facts.memory_available_bytes:
        yield finding(
            "shm-l1",
            f"/dev/shm has {free / _GIB:.1f} GiB free, but L1 takes {l1 / _GIB:g} GiB",
            "workers on the CPU reach L1 through it; without room there every block is copied through a socket "
            "(lmcache 0.5.6)",
            larger,
        )
    ranks, copies = case.profile.workers.engine_ranks, case.profile.workers.data_parallel_size
    needed = _RANKS_BYTES * len(case.plan.workers) * copies if ranks > 1 else 0
    if needed > free:
        yield finding(
            "shm-ranks",
            f"/dev/shm has {free // 1024**2} MiB free, and {len(case.plan.workers)} workers of {ranks} ranks take up "
            f"to {needed // 1024**2} MiB",
            "a rank that writes when it is full is killed by SIGBUS",
            larger,
        )


def _huge_pages(case: Case) -> Iterator[Finding]:
    """Huge pages. An argument of the sidecar requests them; it takes pages of 2 MiB and counts them at its start
    (lmcache 0.5.6)."""
    asked = any(arg.split("=")[0] == _HUGE_PAGES for arg in case.profile.lmcache.args)
    l1, free = _l1_bytes(case), case.facts.hugepages_free_bytes
    if asked and l1 > free:
        yield finding(
            "hugepages-short",
            f"L1 takes {l1 / _GIB:g} GiB of huge pages, but {free / _GIB:.1f} GiB of them are free",
            "the sidecar cannot start without them",
            f"reserve them: sysctl vm.nr_hugepages={-(-l1 // (2 * 1024**2))}, or remove {_HUGE_PAGES}",
            case.loaded.where("lmcache", "args"),
        )


def _open_files(case: Case) -> Iterator[Finding]:
    """Open files; `nixl_store` keeps all files of its pool open (lmcache 0.5.6)."""
    pools = [adapter.pool_size or 0 for adapter in case.profile.lmcache.l2 if isinstance(adapter, NixlStore)]
    needed = _OPEN_FILES + (sum(pools) if case.has_sidecar else 0)
    limit = case.facts.open_files_max
    if limit is not None and limit < needed:
        yield finding(
            "open-files",
            f"at most {limit} files may be open in one process, but {needed} may be needed",
            "each request holds connections, and each file of an L2 pool stays open",
            f"raise the limit before `dynkv up`: ulimit -n {needed}",
        )
