"""Whether the model and the longest prompt fit, and how many tokens the caches can hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.doctor.fit import KvShape, kv_shape, tokens_in
from dynkv.plan.lmcache import l1_size_gb
from dynkv.plan.model import Unit
from dynkv.profile.arguments import WORKER_OPTIONS, kv_cache_bytes
from dynkv.profile.words import values

_GIB = 1024**3
_UNKNOWN = frozenset(
    "--cpu-offload-gb --quantization --load-format --num-gpu-blocks-override --speculative-config --spec-model "
    "--hf-overrides".split()
)
"""Arguments that would make the sums below wrong."""


class Room(Struct, frozen=True):
    """Memory of one rank of a worker for weights and KV cache together, or for its KV cache alone on a CPU."""

    unit: Unit
    bytes: float
    weights_bytes: float
    """Weights that take part of `bytes`."""

    @property
    def for_kv(self) -> float:
        return self.bytes - self.weights_bytes


def checks(case: Case) -> Iterator[Finding]:
    """Findings about capacity. vLLM's working memory is not counted, so what does not fit here cannot fit at all."""
    files = case.facts.model_files
    if not case.has_engine or files is None or files.config is None or files.missing_weights:
        return
    if any(_UNKNOWN & values(case.words_of(unit), WORKER_OPTIONS).keys() for unit in case.plan.workers):
        return
    rooms = list(_rooms(case, files.weights_bytes))
    if not rooms:
        return
    least = min(rooms, key=lambda room: room.for_kv)
    if least.for_kv <= 0:
        yield _too_large(case, least)
        return
    shape = kv_shape(files.config, case.words_of(least.unit))
    if shape is not None:
        yield from _tokens(case, least, shape)


def _rooms(case: Case, weights_bytes: int) -> Iterator[Room]:
    weights = weights_bytes / case.weights_ranks
    for unit in case.plan.workers:
        if case.plan.device == "cpu":
            own = kv_cache_bytes(case.words_of(unit))
            yield Room(unit, own or case.profile.workers.cpu_kv_cache_gb * _GIB, 0)
        elif totals := [gpu.memory_total_bytes for gpu in case.facts.gpus if gpu.visible_as in unit.gpus]:
            share = min(totals) * (unit.gpu_memory_fraction or 1.0)
            yield Room(unit, unit.kv_cache_bytes + weights if unit.kv_cache_bytes else share, weights)


def _too_large(case: Case, room: Room) -> Finding:
    ranks = case.profile.workers.tensor_parallel_size
    return finding(
        "model-too-large",
        f"the weights take {room.weights_bytes / _GIB:.1f} GiB on each GPU of {room.unit.name}, but its share is "
        f"{room.bytes / _GIB:.1f} GiB",
        "a worker keeps all its weights in GPU memory, and KV blocks in addition",
        f"spread it over more GPUs (--set workers.tensor_parallel_size={2 * ranks}), raise "
        "workers.gpu_memory_fraction, or use a smaller model",
        case.loaded.where("model", "path"),
    )


def _tokens(case: Case, room: Room, shape: KvShape) -> Iterator[Finding]:
    workers = case.profile.workers
    # for the layers of one rank; a whole token is spread over the ranks of one copy of the engine
    each = max(1, shape.bytes_per_token(workers.tensor_parallel_size) // workers.pipeline_parallel_size)
    whole, copies = each * workers.engine_ranks, workers.data_parallel_size
    fit = tokens_in(room.for_kv, each)
    longest = case.profile.model.max_length or shape.max_tokens
    if shape.is_exact and longest is not None and longest > fit:
        yield _context_too_long(case, room, longest, fit)
        return
    in_l1 = tokens_in(
        l1_size_gb(case.profile, case.facts) * _GIB, each * workers.pipeline_parallel_size if shape.latent else whole
    )
    if case.has_sidecar and in_l1 < (
        needed := max(case.profile.lmcache.chunk_size, case.profile.model.max_length or 0)
    ):
        yield finding(
            "l1-below-prompt",
            f"L1 holds {in_l1:,} tokens, but a prompt may have {needed:,}",
            "the beginning of a long prompt is evicted before its end is stored, so it is never found again",
            "raise lmcache.l1_size_gb",
            case.loaded.where("lmcache", "l1_size_gb"),
        )
    yield finding(
        "kv-capacity",
        f"a worker has room for {'' if shape.is_exact else 'at least '}{_rounded(fit * copies)} tokens of KV"
        + (f", and L1 for {_rounded(in_l1)}" if case.has_sidecar else ""),
        f"{whole / 1024:.0f} KiB per token, {room.weights_bytes / _GIB:.1f} GiB of weights in each GPU's "
        f"{room.bytes / _GIB:.1f} GiB; vLLM's working memory comes out of it"
        if case.plan.device == "cuda"
        else f"{whole / 1024:.0f} KiB per token, and {room.bytes / _GIB:g} GiB for the KV cache",
        "nothing to do",
    )


def _context_too_long(case: Case, room: Room, longest: int, fit: int) -> Finding:
    on_gpus = case.plan.device == "cuda"
    more = "raise workers.gpu_memory_fraction" if on_gpus else "raise workers.cpu_kv_cache_gb"
    return finding(
        "context-too-long",
        f"the KV cache of {room.unit.name} holds at most {fit:,} tokens, but a prompt may have {longest:,}",
        "vLLM does not start if the longest prompt does not fit",
        f"allow less (--set model.max_length={max(1, int(fit * 0.9) // 256 * 256)}), or {more}",
        case.loaded.where("model", "max_length"),
    )


def _rounded(tokens: int) -> str:
    """The number to two digits: more would claim more than is known."""
    unit = 10 ** max(0, len(str(tokens)) - 2)
    return f"{tokens // unit * unit:,}"
