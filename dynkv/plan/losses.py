"""What a change interrupts, reported before it begins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dynkv.plan.model import Plan, Role, Unit

_CARD = frozenset(
    "--block-size --chat-template --custom-jinja-template --max-model-len --model --model-name --model-path"
    " --served-model-name".split()
)
"""Options that change a worker's model card. The frontend keeps to the first card of a model, and routes to no
worker with another one until all with the first are gone. Source: ai-dynamo 1.6.1, where two H200 lost 32 of 32
streams to another --max-model-len: "Rejected incompatible workers; the first accepted configuration retains the
WorkerSet"."""


def losses(
    running: Plan, restarted: Sequence[Unit], options: Collection[str], dropped: Sequence[Unit] = ()
) -> Iterator[str]:
    """Losses, in words. `restarted` and `dropped` are running units that will be restarted, or stopped for good;
    `options` are those of restarted workers that change."""
    workers = [unit for unit in (*restarted, *dropped) if unit.role.is_worker]
    new_card = sorted(_CARD & set(options))
    if any(unit.role is Role.FRONTEND for unit in restarted):
        yield "running requests: the frontend restarts"
    elif workers and new_card:
        yield (
            "running requests, and those of the seconds until the last worker has changed: "
            f"the frontend accepts no workers with a different {' and '.join(new_card)} at the same time"
        )
    elif workers and running.frontend is not None and not running.frontend.migration_limit:
        yield "running requests of each worker: frontend.migration_limit is 0"
    else:
        kept = [unit for unit in running.units if unit not in dropped]
        alone = [unit.name for unit in workers if not any(it.role is unit.role and it != unit for it in kept)]
        if alone:
            yield f"running requests: nothing replaces {' and '.join(alone)} meanwhile"
    if any(unit.role is Role.LMCACHE for unit in (*restarted, *dropped)):
        yield "what the sidecar holds in L1"
