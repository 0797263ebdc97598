"""What a change interrupts, reported before it begins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dynkv.plan.mixing import lost_between_versions, rejected_cards
from dynkv.plan.model import Plan, Role, Unit

_CARD = frozenset(
    "--block-size --chat-template --custom-jinja-template --max-model-len --model --model-name --model-path"
    " --served-model-name".split()
)
"""Options that change a worker's model card. The frontend keeps to the first card of a model, and routes to no
worker with another one until all with the first are gone. Source: ai-dynamo 1.6.1, where two H200 lost 32 of 32
streams to another --max-model-len: "Rejected incompatible workers; the first accepted configuration retains the
WorkerSet"."""
_NAMES = frozenset({"--model-name", "--served-model-name"})
_DRAIN = "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS"
_DRAIN_S = "5"
"""How long a frontend that was told to end answers running requests, while it refuses new ones (ai-dynamo 1.3.1 and
1.6.1, where streams of two seconds came to their end, and those of 24 were cut after 5.0 s)."""


def losses(
    running: Plan, wanted: Plan, restarted: Sequence[Unit], options: Collection[str], dropped: Sequence[Unit] = ()
) -> Iterator[str]:
    """Losses, in words. `restarted` and `dropped` are running units that will be restarted, or stopped for good;
    `options` are those of restarted workers that change."""
    for unit in restarted:
        if unit.role is Role.FRONTEND:
            seconds = unit.env.get(_DRAIN, _DRAIN_S)
            yield f"new requests until the frontend is back, and running ones that take more than {seconds} s longer"
    yield from _names(running, wanted)
    workers = [unit for unit in (*restarted, *dropped) if unit.role.is_worker]
    kept = [unit for unit in running.units if unit not in dropped]
    change = [unit for unit in workers if unit in restarted]
    cards = [*_cards(options if running.model == wanted.model else {*options} - _NAMES)]
    yield from _of_workers(running, workers, kept, [*cards, *_versions(running, wanted, change)])
    if any(unit.role is Role.LMCACHE for unit in (*restarted, *dropped)):
        yield "what the sidecar holds in L1"
    if change:
        yield from lost_between_versions(running, wanted)


def _names(running: Plan, wanted: Plan) -> Iterator[str]:
    """Names that clients use and that nothing will answer to. The frontend takes the workers of the new name for those
    of another model, so requests of the last worker with the old one cannot go on there (ai-dynamo 1.6.1)."""
    gone = [
        name for name in (running.model, *running.model_aliases) if name not in (wanted.model, *wanted.model_aliases)
    ]
    if gone and wanted.model and running.frontend is not None:
        yield f"requests for {' and '.join(gone)}, also running ones: the model's name becomes {wanted.model}"


def _cards(options: Collection[str]) -> Iterator[str]:
    if new := sorted(_CARD & set(options)):
        yield f"the frontend accepts no workers with a different {' and '.join(new)} at the same time"


def _versions(running: Plan, wanted: Plan, change: Sequence[Unit]) -> Iterator[str]:
    if change and (why := rejected_cards(running, wanted)):
        yield why


def _of_workers(running: Plan, workers: Sequence[Unit], kept: Sequence[Unit], cards: Sequence[str]) -> Iterator[str]:
    """Requests that workers lose. `workers` are those that restart or stop, `cards` why the frontend does not route to
    their successors beside them."""
    if workers and cards:
        yield f"running requests, and those of the seconds until the last worker has changed: {'; '.join(cards)}"
    elif workers and running.frontend is not None and not running.frontend.migration_limit:
        yield "running requests of each worker: frontend.migration_limit is 0"
    else:
        alone = [unit.name for unit in workers if not any(it.role is unit.role and it != unit for it in kept)]
        if alone:
            yield f"running requests: nothing replaces {' and '.join(alone)} meanwhile"
