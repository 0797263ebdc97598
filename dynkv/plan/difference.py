"""The changes from a running plan to another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from dynkv.plan.losses import losses
from dynkv.plan.model import Plan, Unit
from dynkv.profile.source import short

_SHOWN_MAX = 60
_SETTINGS = {
    "role": "kind",
    "probes": "probes",
    "restart": "restart policy",
    "stop_timeout_s": "stop deadline",
    "nice": "priority",
    "cpus": "CPUs",
    "depends_on": "order of start",
    "restart_with": "what it is restarted with",
}
"""Settings of a unit that only its supervisor uses, in words."""


class Action(StrEnum):
    KEEP = "keep"
    RESTART = "restart"
    START = "start"
    STOP = "stop"


class UnitChange(Struct, frozen=True):
    name: str
    action: Action
    reasons: tuple[str, ...]
    """Why, in words; for a kept unit, what changes without a restart."""


class Difference(Struct, frozen=True):
    supervisor: str
    """`keep`, or `replace` if another version of dynkv supervises the deployment."""
    units: tuple[UnitChange, ...]
    """Units of the new plan in its order, then those that are dropped."""
    reasons: tuple[str, ...] = ()
    """Changes to the deployment as a whole that restart no unit."""
    losses: tuple[str, ...] = ()
    """Work in progress that the change interrupts, in words."""

    @property
    def is_none(self) -> bool:
        kept = all(unit.action is Action.KEEP and not unit.reasons for unit in self.units)
        return kept and self.supervisor == "keep" and not self.reasons


def difference(running: Plan, wanted: Plan, *, is_same_version: bool) -> Difference:
    before = {unit.name: unit for unit in running.units}
    changes = [_change(before.get(unit.name), unit) for unit in wanted.units]
    names = {unit.name for unit in wanted.units}
    gone = [UnitChange(name, Action.STOP, ("no longer in the profile",)) for name in before if name not in names]
    before_it, after_it = _of_the_whole(running), _of_the_whole(wanted)
    reasons = tuple(words for words in after_it if before_it[words] != after_it[words])
    restarts = {change.name for change in changes if change.action is Action.RESTART}
    restarted = [before[name] for name in before if name in restarts]
    options = {
        name
        for unit in wanted.workers
        if unit.name in restarts
        for name, _, _ in _changed(_options(before[unit.name].argv), _options(unit.argv))
    }
    dropped = [unit for unit in running.units if unit.name not in names]
    lost = tuple(losses(running, wanted, restarted, options, dropped))
    return Difference("keep" if is_same_version else "replace", (*changes, *gone), reasons, lost)


def _of_the_whole(plan: Plan) -> dict[str, object]:
    """Settings whose change restarts no unit, by name."""
    standbys = [
        (standby.name, standby.modules, standby.keep, standby.roles, standby.others) for standby in plan.standbys
    ]
    hooks = [replace(hook, env={}) for hook in plan.hooks]
    return {
        "rotation of logs": plan.logs,
        "standby": standbys,
        "first prompt": plan.warm_up_tokens,
        "metrics": plan.metrics,
        "notifications": hooks,
    }


def _change(before: Unit | None, unit: Unit) -> UnitChange:
    if before is None:
        return UnitChange(unit.name, Action.START, ("new in the profile",))
    if before.digest() == unit.digest():
        settings = (words for name, words in _SETTINGS.items() if getattr(before, name) != getattr(unit, name))
        return UnitChange(unit.name, Action.KEEP, tuple(settings))
    found = tuple(_differences(before, unit))
    return UnitChange(unit.name, Action.RESTART, found or ("its environment",))


def _differences(before: Unit, unit: Unit) -> Iterator[str]:
    yield from _of_mappings("", _options(before.argv), _options(unit.argv))
    yield from _of_mappings("env ", before.heeded_env, unit.heeded_env)
    yield from _of_mappings("port ", before.ports, unit.ports)
    if before.gpus != unit.gpus:
        yield f"GPUs: {_listed(before.gpus)} → {_listed(unit.gpus)}"
    kept, given = ({*it.secret_env, *it.own_secrets} for it in (before, unit))
    yield from (f"secret {name}: now given" for name in sorted(given - kept))
    yield from (f"secret {name}: no longer given" for name in sorted(kept - given))


def _of_mappings(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{what}{name}: {_shown(old)} → {_shown(new)}" for name, old, new in _changed(before, after))


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    for name in sorted({*before, *after}):
        if (old := before.get(name)) != (new := after.get(name)):
            yield name, old, new


def _options(argv: Sequence[str]) -> dict[str, str]:
    """The value of each option, as far as the words show it; the program and positional words by their position."""
    found = {"program": argv[0]}
    words: list[str] = []
    name = "arguments"
    for word in (*argv[1:], "--"):
        if word.startswith("-") and len(word) > 1:
            if words or name != "arguments":
                found[name] = " ".join([*([found[name]] if name in found else []), *words])
            name, equals, value = word.partition("=")
            words = [value] if equals else []
        else:
            words.append(word)
    return found


def _shown(value: object) -> str:
    return short("nothing" if value is None else str(value) or "set", _SHOWN_MAX)


def _listed(gpus: Sequence[str]) -> str:
    return ", ".join(gpus) or "none"
