"""Which workers there will be, and on which GPUs or CPUs, given topology, replicas and GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from dynkv.errors import PreflightRefused, UsageError
from dynkv.plan.facts import HostFacts
from dynkv.plan.gpus import Gpu
from dynkv.plan.model import Role
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile


def select_gpus(wanted: str | Sequence[int | str], gpus: Sequence[Gpu], *, may_repeat: bool) -> tuple[Gpu, ...]:
    """The GPUs that the profile names by index, UUID or MIG id, in its order; all of the host's for `all`.

    Raises UsageError for a repeated GPU without `may_repeat`, PreflightRefused for a missing one.
    """
    if not gpus:
        raise PreflightRefused(
            "this host has no NVIDIA GPU, but the profile's device is cuda",
            hint="run on the CPU: --device cpu --model tiny; or without an engine: --engine mocker --model tiny",
        )
    if wanted == "all":
        return tuple(gpus)
    chosen = tuple(_find_gpu(name, gpus) for name in wanted)
    if not chosen:
        raise UsageError("the list of GPUs is empty", hint="name at least one: --gpus 0")
    doubles = [g for i, g in enumerate(chosen) if g in chosen[:i]]
    if doubles and not may_repeat:
        raise UsageError(
            f"GPU {doubles[0].visible_as} is listed twice",
            hint="list each once; to put several workers on one GPU set workers.share_gpus=true and memory fractions",
        )
    return chosen


def _find_gpu(name: int | str, gpus: Sequence[Gpu]) -> Gpu:
    for gpu in gpus:
        if str(name) in (gpu.uuid, gpu.visible_as):
            return gpu
    known = ", ".join(f"{g.visible_as} ({g.name})" for g in gpus)
    raise PreflightRefused(f"there is no GPU {name} on this host", hint=f"available: {known}")


def group_gpus(gpus: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Groups of `size`, one for each worker with that many ranks; a remainder stays unused."""
    return [tuple(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size)]


def share_cpus(cpus: Sequence[int], shares: int) -> list[tuple[int, ...]]:
    """Consecutive parts of nearly equal size; with too few CPUs, several parts share one."""
    if shares > len(cpus):
        return [(cpus[i % len(cpus)],) for i in range(shares)]
    cuts = [i * len(cpus) // shares for i in range(shares + 1)]
    return [tuple(cpus[a:b]) for a, b in pairwise(cuts)]


def split_roles(groups: int, decode_per_prefill: int) -> tuple[int, int]:
    """How many of `groups` go to (decode, prefill): one each of two; of more, decode gets the most."""
    prefill = max(1, groups // (1 + decode_per_prefill))
    return groups - prefill, prefill


class Seat(Struct, frozen=True):
    """A planned worker: its role, its number within the role, and its GPUs, or its CPUs if they compute."""

    role: Role
    number: int
    gpus: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()

    @property
    def unit(self) -> str:
        return f"{self.role}-{self.number}"


def seats(profile: Profile, facts: HostFacts) -> list[Seat]:
    """The workers. In disagg decode comes first and gets the first GPUs. Raises PreflightRefused if there are too
    few GPUs."""
    workers = profile.workers
    asked = (workers.replicas,) if profile.topology == "agg" else (workers.decode.replicas, workers.prefill.replicas)
    if all(count == 0 for count in asked):
        return []  # other nodes of the cluster have them
    computes = ENGINES[profile.engine].computes
    if profile.device == "cuda" and computes:
        return _on_gpus(profile, facts)
    if profile.device == "cpu" and computes and workers.gpus != "all" and not workers.share_gpus:
        raise UsageError("GPUs were listed, but the device is cpu", hint="remove --gpus, or use --device cuda")
    found = _without_gpus(profile)
    if not computes or not found:
        return found
    shares = share_cpus(facts.cpus, len(found))
    return [replace(seat, cpus=share) for seat, share in zip(found, shares, strict=True)]


def _on_gpus(profile: Profile, facts: HostFacts) -> list[Seat]:
    workers = profile.workers
    chosen = select_gpus(workers.gpus, facts.gpus, may_repeat=workers.share_gpus)
    ids = [gpu.visible_as for gpu in chosen]
    if workers.share_gpus:
        return _sharing(profile, list(dict.fromkeys(ids)))
    return _one_group_each(profile, group_gpus(ids, workers.ranks), len(ids))


def _one_group_each(profile: Profile, groups: list[tuple[str, ...]], gpu_count: int) -> list[Seat]:
    decode, prefill, total = _counts(profile, len(groups))
    size = profile.workers.ranks
    is_half = profile.topology == "disagg" and not (decode and prefill) and not profile.cluster.is_set
    if total > len(groups) or not groups or is_half:
        needed = total if profile.topology == "agg" else max(decode, 1) + max(prefill, 1)
        raise _too_few(profile, max(needed, 1) * size, gpu_count)
    return _numbered(profile, decode, prefill, groups)


def _sharing(profile: Profile, ids: list[str]) -> list[Seat]:
    """Workers on shared GPUs: each takes the next group, and each role begins again at the first GPU."""
    groups = group_gpus(ids, profile.workers.ranks)
    if not groups:
        raise _too_few(profile, profile.workers.ranks, len(ids))
    decode = _or(profile.workers.decode.replicas, len(groups))
    prefill = _or(profile.workers.prefill.replicas, len(groups))
    if profile.topology == "agg":
        decode, prefill = profile.workers.replicas or max(len(groups), profile.workers.min_replicas), 0
    turns = [groups[i % len(groups)] for i in range(decode)] + [groups[i % len(groups)] for i in range(prefill)]
    return _numbered(profile, decode, prefill, turns)


def _without_gpus(profile: Profile) -> list[Seat]:
    """Workers on the CPU, or of an engine that computes nothing: replicas decide, and GPUs listed are only labels."""
    labels = [] if profile.workers.gpus == "all" else [str(gpu) for gpu in profile.workers.gpus]
    if labels and profile.workers.share_gpus:
        return _without_labels(profile) if ENGINES[profile.engine].computes else _sharing(profile, labels)
    groups = group_gpus(labels, profile.workers.ranks)
    if groups:
        return _one_group_each(profile, groups, len(labels))
    return _without_labels(profile)


def _without_labels(profile: Profile) -> list[Seat]:
    workers = profile.workers
    decode, prefill = _or(workers.decode.replicas, 1), _or(workers.prefill.replicas, 1)
    if profile.topology == "agg":
        decode, prefill = workers.replicas or workers.min_replicas, 0
    return _numbered(profile, decode, prefill, [()] * (decode + prefill))


def _counts(profile: Profile, groups: int) -> tuple[int, int, int]:
    """The number of workers that come first (decode, or all of agg), of prefill workers, and of both together."""
    workers = profile.workers
    if profile.topology == "agg":
        count = workers.replicas or max(groups, workers.min_replicas)
        return count, 0, count
    decode, prefill = split_roles(groups, workers.decode_per_prefill)
    if workers.decode.replicas is not None:
        prefill = groups - workers.decode.replicas
    elif workers.prefill.replicas is not None:
        decode = groups - workers.prefill.replicas
    decode, prefill = _or(workers.decode.replicas, decode), _or(workers.prefill.replicas, prefill)
    return max(decode, 0), max(prefill, 0), decode + prefill


def _or(given: int | None, otherwise: int) -> int:
    """The given number, which may be zero, or the default."""
    return otherwise if given is None else given


def _numbered(profile: Profile, first: int, prefill: int, groups: list[tuple[str, ...]]) -> list[Seat]:
    role = Role.WORKER if profile.topology == "agg" else Role.DECODE
    seats = [Seat(role, i, groups[i]) for i in range(first)]
    return seats + [Seat(Role.PREFILL, i, groups[first + i]) for i in range(prefill)]


def _too_few(profile: Profile, needed: int, found: int) -> PreflightRefused:
    hint = "list more with --gpus, or lower workers.replicas or the workers' parallel sizes"
    if profile.topology == "disagg":
        hint = "use the profile disagg-1gpu to put both roles on one GPU, or agg"
    return PreflightRefused(f"{profile.topology} needs {needed} GPUs here, but {found} can be used", hint=hint)
