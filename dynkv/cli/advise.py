"""`advise`: the hit rates that caches of other sizes would have, computed from a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dynkv.bench.advice import Advice, Own, advice, capacity_bytes, chunk_sizes, sizes
from dynkv.bench.simulator import hit_rates
from dynkv.cli.options import DeviceOption, JsonOption, ModelOption, ProfileArgument, SetOption
from dynkv.cli.planned import locate, look, overrides
from dynkv.cli.report import say
from dynkv.cli.traces import read_trace
from dynkv.doctor.fit import kv_shape
from dynkv.doctor.model_files import model_files
from dynkv.documents import encoded
from dynkv.errors import PreflightRefused
from dynkv.plan.facts import HostFacts, ModelFiles
from dynkv.plan.lmcache import l1_size_gb
from dynkv.plan.served_model import TINY, tiny_model_path
from dynkv.profile.l2 import capacity_gb
from dynkv.profile.model import Profile

_CELL = 10


def advise(
    profile: ProfileArgument,
    trace: Annotated[
        Path, typer.Option("--trace", metavar="FILE", help="Recorded requests, as written by `dynkv record`.")
    ],
    model: ModelOption = None,
    device: DeviceOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute which hit rates other sizes of L1 and L2, and other chunk sizes, would give. It needs no GPU.

    LMCache's own cache simulator computes it from a recorded trace, for the model of the profile. It is not measured:
    the simulator knows one LRU, and nothing of time.
    """
    recorded = read_trace(trace)
    loaded, where = locate(profile, None, overrides(None, model, None, device, False, sets))
    facts = look(loaded, where)
    own = _own(loaded.profile, facts)
    each = _bytes_per_token(loaded.profile, facts, str(where.home))
    capacities = [capacity_bytes(size, recorded, each) for size in sizes(own)]
    asked = dict.fromkeys(chunk_sizes(recorded, own), capacities)
    rates = hit_rates([facts.python, *facts.python_options], recorded, each, asked)
    by = f"the cache simulator of lmcache {facts.packages.get('lmcache', '')}".rstrip()
    found = advice(recorded, own, each, rates, by)
    if as_json:
        print(encoded(found).decode())  # noqa: T201 (one document and nothing else)
    else:
        _show(found)


def _own(profile: Profile, facts: HostFacts) -> Own:
    levels = [capacity_gb(adapter) for adapter in profile.lmcache.l2]
    l2 = None if not levels else sum(float("inf") if size is None else size for size in levels)
    return Own(l1_size_gb(profile, facts), l2, profile.lmcache.chunk_size, profile.block_size)


def _bytes_per_token(profile: Profile, facts: HostFacts, home: str) -> int:
    """Bytes over all ranks of one engine. Raises PreflightRefused if the model does not say."""
    files = _files(profile, facts, home)
    if files is None or files.config is None:
        raise PreflightRefused(
            f"the config.json of {profile.model.path} is not on this host, so the size of its KV is unknown",
            hint="`dynkv up` with the same model and --engine mocker creates it"
            if profile.model.path == TINY
            else "download the model, or pass the directory with its config.json: --model PATH",
        )
    shape = kv_shape(files.config, profile.model.args)
    if shape is None:
        raise PreflightRefused(f"dynkv cannot tell how large the KV of a token of {profile.model.path} is")
    ranks = profile.workers.tensor_parallel_size
    return shape.bytes_per_token(ranks) * (1 if shape.latent else ranks)


def _files(profile: Profile, facts: HostFacts, home: str) -> ModelFiles | None:
    return model_files(Path(tiny_model_path(profile, facts, home))) if profile.model.path == TINY else facts.model_files


def _show(found: Advice) -> None:
    say(f"computed, not measured, by {found.by}, from {found.requests:,} requests")
    say(f"share of all tokens of prompts that would be found; {found.bytes_per_token / 1024:g} KiB of KV for a token")
    heads = [f"{size}{'*' if size == found.own_chunk_tokens else ''}" for size in found.chunk_tokens]
    say(" " * 24 + "tokens in a chunk")
    say(f"{'':24}" + "".join(f"{head:>{_CELL}}" for head in heads))
    for row in found.rows:
        size = "" if row.size.gib is None else f"{row.size.gib:g} GiB"
        label = f"{row.size.label:<10}{size:>12}{'*' if row.size.is_own else ' '}"
        say(f"{label:<24}" + "".join(f"{rate:>{_CELL}.1%}" for rate in row.hit_rates))
    say("* the profile's own")
    say(found.sentence)
