"""The variants of a benchmark, planned for this host before any of them starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from dynkv.bench.run import Prepared
from dynkv.bench.variants import Variant
from dynkv.cli.planned import Planned, locate, make_plan, overrides
from dynkv.errors import PreflightRefused, UsageError
from dynkv.home import Place, deployments, home, place
from dynkv.init.draft import Draft
from dynkv.profile.arguments import value_of
from dynkv.profile.load import LoadedProfile, Override, shipped
from dynkv.supervisor.neighbours import has_supervisor

_MODEL = ("--model", "--model-path")


class InTheWay(PreflightRefused):
    """A running deployment would distort the measurement."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is running, and would share the machine with the measured deployments", hint=f"dynkv down {name}"
        )


def common_options(
    gpus: str | None,
    model: str | None,
    engine: str | None,
    device: str | None,
    sets: list[str] | None,
    no_lmcache: bool,
) -> list[str]:
    """The options as words for `up`."""
    given = (("--gpus", gpus), ("--model", model), ("--engine", engine), ("--device", device))
    words = [word for option, value in given if value is not None for word in (option, value)]
    words += [word for pair in sets or [] for word in ("--set", pair)]
    return [*words, *(["--no-lmcache"] if no_lmcache else [])]


def prepared(variant: Variant) -> Prepared:
    """Plan the variant. Raises UsageError, ProfileError, or PreflightRefused if this host cannot run it."""
    plan = _planned(variant.words).plan
    worker = next((unit for unit in plan.units if unit.role.is_worker), None)
    if worker is None or plan.frontend is None:
        raise PreflightRefused(f"{variant.name} serves no model")
    if plan.metrics is None:
        raise PreflightRefused(f"metrics of {variant.name} are not collected", hint="metrics.enabled: true")
    tokenizer = next(filter(None, (value_of(option, list(worker.argv)) for option in _MODEL)), plan.frontend.model)
    return Prepared(plan.python, tokenizer, worker.env.get("HF_HUB_OFFLINE") == "1")


def running(variants: Sequence[Variant]) -> str:
    """The deployment of the only variant, if it is already running; else empty. Raises InTheWay for any other."""
    found = [it for it in deployments(home()) if has_supervisor(place(home(), it))]
    if len(variants) == 1 and found == [_located(variants[0].words)[1].name]:
        return found[0]
    if found:
        raise InTheWay(found[0])
    return ""


def profile_of(variant: Variant) -> str:
    """The variant's profile, as YAML that begins with the profile it is based on."""
    given = _options_of_up(variant.words)
    draft = Draft()
    draft.put("extends", given["profile"] if given["profile"] in shipped() else str(Path(given["profile"]).resolve()))
    for it in _overrides(given):
        draft.put(".".join(it.path), it.value)
    return draft.text([f"Chosen by `dynkv bench`: {variant.name}"])


def _planned(words: Sequence[str]) -> Planned:
    given = _options_of_up(words)
    planned = make_plan(*_located_by(given))
    if not given["skip_checks"]:
        planned.refuse_errors()
    return planned


def _located(words: Sequence[str]) -> tuple[LoadedProfile, Place]:
    return _located_by(_options_of_up(words))


def _located_by(given: Mapping[str, Any]) -> tuple[LoadedProfile, Place]:
    return locate(given["profile"], None, _overrides(given))


def _overrides(given: Mapping[str, Any]) -> list[Override]:
    return overrides(*(given[key] for key in ("gpus", "model", "engine", "device", "no_lmcache", "sets")))


def _options_of_up(words: Sequence[str]) -> dict[str, Any]:
    from dynkv.cli.commands import command_line

    try:
        line: Any = get_command(command_line(["up"]))
        return dict(line.commands["up"].make_context("dynkv up", list(words)).params)
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("click", "typer"):
            raise UsageError(f"{' '.join(words)}: {error}", hint="`dynkv up --help` lists the options") from None
        raise
