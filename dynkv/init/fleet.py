"""Turning the workers of a script into topology, model and workers of a profile."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.given import Argument
from dynkv.init.programs import Kind
from dynkv.init.workers import NUMBERS, Worker
from dynkv.profile.arguments import HANDSHAKE_ARGS
from dynkv.profile.names import split

VLLM_FRACTION = 0.92
"""vLLM's default share of a GPU's memory. Source: vllm 0.31.0, CacheConfig.gpu_memory_utilization."""
_SHARED_FRACTIONS = {"decode": 0.45, "prefill": 0.4}
"""The shares of the shipped profile disagg-1gpu."""
_POOLING = ("--runner", "pooling")
"""The plan adds this if the task needs it."""
_FRACTION = "workers.gpu_memory_fraction"
_OPTIONS = {key: option for option, key in NUMBERS.items()}


def take_workers(found: Conversion, workers: Sequence[Worker]) -> None:
    is_disagg = any(one.role == "prefill" for one in workers)
    for one in workers:
        one.role = ("prefill" if one.role == "prefill" else "decode") if is_disagg else "worker"
        found.planned |= one.planned
        for line, text in one.left_out:
            found.leave_out(line, text)
        for name in one.connectors.left_out:
            found.leave_out(one.program.line, f"{name} of --kv-transfer-config: the plan writes the connector")
        if one.connectors.has_nixl and not is_disagg:
            found.leave_out(one.program.line, "NixlConnector: no other worker in it exchanges KV blocks with it")
        if one.program.before:
            found.leave_out(one.program.line, f"{' '.join(one.program.before)}, in front of the worker")
    draft, first = found.draft, workers[0]
    draft.put("topology", "disagg" if is_disagg else "agg", _roles_in_words(workers))
    if first.program.kind is Kind.MOCKER:
        draft.put("engine", "mocker", f"line {first.program.line}")
    elif first.program.env.get("VLLM_TARGET_DEVICE") == "cpu" or "VLLM_CPU_KVCACHE_SPACE" in first.program.env:
        draft.put("device", "cpu", f"line {first.program.line}")
    _take_model(found, workers)
    _take_numbers(found, workers)
    _take_gpus(found, workers, is_disagg=is_disagg)
    _take_arguments(found, workers)


def _roles_in_words(workers: Sequence[Worker]) -> str:
    lines = {
        role: [str(one.program.line) for one in workers if one.role == role] for role in ("worker", "decode", "prefill")
    }
    return "; ".join(f"{role} of line {', '.join(dict.fromkeys(at))}" for role, at in lines.items() if at)


def _take_model(found: Conversion, workers: Sequence[Worker]) -> None:
    first = workers[0]
    if first.model:
        found.draft.put("model.path", first.model, f"line {first.program.line}")
    _take_names(found, workers)
    if first.task:
        found.draft.put("model.task", first.task)
        for one in workers:
            one.args = [arg for arg in one.args if arg.words != _POOLING]


def _take_names(found: Conversion, workers: Sequence[Worker]) -> None:
    names, *others = [tuple(dict.fromkeys(split(" ".join(one.served_names)))) for one in workers]
    if names:
        found.draft.put("model.served_name", names[0] if len(names) == 1 else list(names))
    for one, different in zip(workers[1:], others, strict=True):
        if different != names:
            called = " ".join(different) or "nothing"
            found.leave_out(
                one.program.line, f"--served-model-name {called}: a model has the same names at all workers"
            )


def _take_numbers(found: Conversion, workers: Sequence[Worker]) -> None:
    """Take the numbers that all workers share; the share of GPU memory may differ by role."""
    for key in _OPTIONS:
        values = [one.numbers.get(key) for one in workers]
        is_gpu = found.draft.get("device") is None and found.draft.get("engine") is None
        if key == _FRACTION and is_gpu:
            _take_fractions(found, workers)
        elif values[0] is not None and key != _FRACTION:
            found.draft.put(key, values[0], _why(key, workers[0]))
        for one, value in zip(workers, values, strict=True):
            if value != values[0] and key != _FRACTION:
                found.leave_out(one.program.line, f"{_OPTIONS[key]} {value}: {key} is the same for all workers")


def _why(key: str, first: Worker) -> str:
    ranks = "; its ranks are one worker instead of separate processes" if first.rank is not None else ""
    return _OPTIONS[key] + (ranks if key == "workers.data_parallel_size" else "")


def _take_fractions(found: Conversion, workers: Sequence[Worker]) -> None:
    fractions = {one.role: one.numbers.get(_FRACTION) for one in reversed(workers)}
    for one in workers:
        if one.numbers.get(_FRACTION) != fractions[one.role]:
            found.leave_out(one.program.line, "--gpu-memory-utilization: all workers of a role have the same")
    if len(set(fractions.values())) == 1:
        value = next(iter(fractions.values()))
        why = _OPTIONS[_FRACTION] if value else "vLLM's default"
        found.draft.put(_FRACTION, value or VLLM_FRACTION, why)
        return
    for role, value in fractions.items():
        found.draft.put(f"workers.{role}.gpu_memory_fraction", value or VLLM_FRACTION, _OPTIONS[_FRACTION])


def _take_gpus(found: Conversion, workers: Sequence[Worker], *, is_disagg: bool) -> None:
    ordered = sorted(workers, key=lambda one: one.role == "prefill")
    draft = found.draft
    groups = [one.gpus for one in ordered]
    if draft.get("engine") is None and draft.get("device") is None:
        listed = list(dict.fromkeys(gpu for group in groups for gpu in group))
        shares = len(workers) > 1 and (not listed or len(listed) < sum(map(len, groups)))
        if listed or shares:
            draft.put(
                "workers.gpus", listed or [0], "decode first, then prefill" if is_disagg else "CUDA_VISIBLE_DEVICES"
            )
        if shares:
            draft.put("workers.share_gpus", True, "several workers share a GPU")
            _share_fractions(found, workers)
    counts = {role: sum(one.role == role for one in workers) for role in ("decode", "prefill")}
    for role in ("decode", "prefill") if is_disagg else ():
        draft.put(f"workers.{role}.replicas", counts[role])
    if not is_disagg:
        draft.put("workers.replicas", len(workers))


def _share_fractions(found: Conversion, workers: Sequence[Worker]) -> None:
    """Choose shares with which prefill and decode fit on one GPU, if those of the script do not."""
    roles = {one.role for one in workers}
    given = {
        role: found.draft.get(f"workers.{role}.gpu_memory_fraction") or found.draft.get(_FRACTION) for role in roles
    }
    if roles != set(_SHARED_FRACTIONS) or sum(map(float, given.values())) <= 1:
        return
    found.draft.entries.pop(_FRACTION, None)
    for role, share in _SHARED_FRACTIONS.items():
        found.draft.put(
            f"workers.{role}.gpu_memory_fraction", share, "a share of the GPU that both use, as in disagg-1gpu"
        )
    found.leave_out(workers[0].program.line, "GPU memory fractions that fit together were chosen; set your own")


def _take_arguments(found: Conversion, workers: Sequence[Worker]) -> None:
    """Put what all workers share into `model.args`, what a role shares into its own list, and the rest into `each`."""
    _leave_out_disagreements(found, workers)
    shared = _common(workers)
    if shared:
        found.draft.put("model.args", _words(shared))
    for role, of_role in by_role(workers).items():
        common = [arg for arg in _common(of_role) if arg not in shared]
        if common:
            found.draft.put(f"model.role_args.{role}", _words(common))
        for number, one in enumerate(of_role):
            if own := [arg for arg in one.args if arg not in (*shared, *common)]:
                found.draft.put(f"workers.each.{role}-{number}.args", _words(own), f"line {one.program.line}")


def by_role(workers: Sequence[Worker]) -> dict[str, list[Worker]]:
    """Workers by role, in the order in which the plan numbers them."""
    return {role: [one for one in workers if one.role == role] for role in dict.fromkeys(one.role for one in workers)}


def _common(workers: Sequence[Worker]) -> list[Argument]:
    return [arg for arg in workers[0].args if all(arg in one.args for one in workers)]


def _leave_out_disagreements(found: Conversion, workers: Sequence[Worker]) -> None:
    """Leave out options that prefill and decode must agree on: the NIXL handshake would fail, and a profile refuses
    it."""
    if found.draft.get("topology") != "disagg":
        return
    for one in workers:
        for arg in [arg for arg in one.args if arg.name in HANDSHAKE_ARGS]:
            if not all(arg in other.args for other in workers):
                found.leave_out(one.program.line, f"{arg.shown()}: prefill and decode must agree on it")
                one.args.remove(arg)


def _words(args: Sequence[Argument]) -> list[str]:
    """The words, with JSON put on one line."""
    return [_on_one_line(word) for arg in args for word in arg.words]


def _on_one_line(word: str) -> str:
    try:
        return json.dumps(json.loads(word)) if "\n" in word else word
    except ValueError:
        return word
