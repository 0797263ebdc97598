"""Turning one of Dynamo's launch scripts into an equivalent profile, and reporting what could not be carried over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from dynkv.bash.reading import read_script
from dynkv.bash.shell import Record
from dynkv.errors import ScriptError
from dynkv.init import beside, environment, fleet, sidecar
from dynkv.init.conversion import Conversion
from dynkv.init.frontend import HANDLED_ENV, take_frontend
from dynkv.init.helpers import HELPERS
from dynkv.init.programs import Kind, Program, recognized
from dynkv.init.workers import Worker, as_ranks, refuse_connectors, worker

_OTHER_DEVICES = {
    "ZE_AFFINITY_MASK": "Intel's GPUs",
    "HABANA_VISIBLE_DEVICES": "Gaudi",
    "HABANA_VISIBLE_MODULES": "Gaudi",
    "PT_HPU_ENABLE_LAZY_COLLECTIVES": "Gaudi",
    "TPU_VISIBLE_CHIPS": "TPUs",
}


def converted(text: str, path: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Conversion:
    """Convert the text of a script that would be called with `arguments`.

    Raises ScriptError if it is not bash, starts nothing of Dynamo, or if no profile can express it.
    """
    record = read_script(text, path, arguments, environ, HELPERS)
    programs = [program for program in map(recognized, record.started) if program.argv]
    _refuse_other_devices(programs)
    found = Conversion()
    programs = _until_it_waits(found, record, programs)
    for remark in record.remarks:
        found.leave_out(remark.line, remark.text)
    if any(program.kind in (Kind.WORKER, Kind.MOCKER) for program in programs):
        convert(found, programs, PurePath(path).name)
    elif serving := [program for program in programs if program.kind is Kind.VLLM]:
        _refuse_engines_beside(programs)
        beside.without_dynamo(found, serving)
        beside.tell_of_the_rest(found, programs)
    else:
        raise _nothing_to_do(record, programs)
    found.put_in_order()
    return found


def _until_it_waits(found: Conversion, record: Record, programs: list[Program]) -> list[Program]:
    """Drop what the script would only do after a server in its foreground has exited.

    Raises ScriptError if something before that cannot be read.
    """
    serving = [at for at, program in enumerate(programs) if program.kind is not Kind.OTHER]
    if record.unread is not None and (not serving or programs[serving[-1]].is_background):
        raise record.unread
    if not serving or programs[serving[-1]].is_background:
        return programs
    behind = programs[serving[-1] + 1 :]
    if behind or record.unread is not None:
        line = behind[0].line if behind else record.unread.line if record.unread else None
        found.leave_out(line or 0, "everything from here on runs only after the server above has exited")
    return programs[: serving[-1] + 1]


def _refuse_other_devices(programs: Sequence[Program]) -> None:
    """Raise ScriptError for devices that dynkv does not support."""
    for program in programs:
        target = program.env.get("VLLM_TARGET_DEVICE", "")
        other = next((device for name, device in _OTHER_DEVICES.items() if program.env.get(name)), "")
        if target in ("xpu", "hpu", "tpu"):
            other = {"xpu": "Intel's GPUs", "hpu": "Gaudi", "tpu": "TPUs"}[target]
        if other:
            raise ScriptError(f"this runs on {other}, but a profile's device is cuda or cpu", program.line)


def _refuse_engines_beside(programs: Sequence[Program]) -> None:
    """Raise ScriptError if a worker is an engine together with a part of Dynamo that talks to it."""
    for program in programs:
        if program.argv[0].rpartition("/")[2] == "dynamo-vllm-sidecar" or program.kind is Kind.FRONTEND:
            raise ScriptError(
                "this worker is two programs, an engine and Dynamo's vLLM sidecar", program.line, hint=_PLANNED
            )


def _nothing_to_do(record: Record, programs: Sequence[Program]) -> ScriptError:
    if record.ended is not None:
        said = f": {record.ended.text}" if record.ended.text else ""
        return ScriptError(
            f"with these arguments the script exits{said}",
            record.ended.line,
            hint="give what it needs after --: `dynkv init --from-script FILE -- --its-option value`",
        )
    other = next((program for program in programs if program.kind is Kind.OTHER_DYNAMO), None)
    if other is not None:
        return ScriptError(f"{other.module} is not a worker that dynkv plans", other.line, hint=_PLANNED)
    if any(program.kind is Kind.FRONTEND for program in programs):
        return ScriptError("it starts a frontend but no worker", hint=_PLANNED)
    return ScriptError("it starts no part of Dynamo", hint=_PLANNED)


_PLANNED = "dynkv plans `python -m dynamo.frontend`, `dynamo.vllm` or `dynamo.mocker`, and `lmcache server`"


def convert(found: Conversion, programs: list[Program], file: str) -> None:
    """Turn what is started into keys. Raises ScriptError for what no profile can express."""
    workers = [worker(program) for program in programs if program.kind in (Kind.WORKER, Kind.MOCKER)]
    others = _others(found, workers)
    own = list(as_ranks([one for one in workers if one.is_own_role]))
    refuse_connectors(own)
    if not own:
        raise ScriptError("it starts no worker that serves requests", workers[0].program.line)
    _refuse_several_models(own)
    _refuse_prefill_alone(own)
    _route_to_encoders(found, own, others)
    frontends = [program for program in programs if program.kind is Kind.FRONTEND]
    sidecars = [program for program in programs if program.kind is Kind.LMCACHE]
    found.draft.put("description", f"as {file}")
    fleet.take_workers(found, own)
    sidecar.take_sidecar(found, own, sidecars)
    take_frontend(found, frontends, own)
    _take_environment(found, frontends, sidecars, own)
    beside.take_units(found, others, frontends[1:], programs)


def _others(found: Conversion, workers: list[Worker]) -> list[Worker]:
    """Workers with a role that dynkv does not have, but which still must run."""
    for one in workers:
        if one.role == "processor":
            line = one.program.line
            found.leave_out(line, f"`{one.program.shown()}`: since 1.6 Dynamo's frontend does the work of a processor")
    return [one for one in workers if not one.is_own_role and one.role != "processor"]


def _route_to_encoders(found: Conversion, workers: list[Worker], others: list[Worker]) -> None:
    """Let the workers that compute prompts ask the encoders, as a processor did before Dynamo 1.6."""
    if not any(other.role == "encode" for other in others):
        return
    is_disagg = any(one.role == "prefill" for one in workers)
    for one in workers:
        if one.is_older_multimodal and one.role == ("prefill" if is_disagg else "worker"):
            one.add_flag("--route-to-encoder")
            found.leave_out(one.program.line, "--route-to-encoder was added: before 1.6 a processor did that")


def _refuse_several_models(workers: list[Worker]) -> None:
    models = {one.model: one.program.line for one in workers}
    if len(models) > 1:
        names = " and ".join(model or "its default" for model in models)
        raise ScriptError(
            f"its workers serve {names}, but a deployment serves one model",
            list(models.values())[1],
            hint="make a profile for each; both run at the same time, with a frontend each",
        )


def _refuse_prefill_alone(workers: list[Worker]) -> None:
    if all(one.role == "prefill" for one in workers):
        raise ScriptError(
            "it starts prefill workers but no decode worker, and a deployment needs both", workers[0].program.line
        )


def _take_environment(
    found: Conversion, frontends: list[Program], sidecars: list[Program], workers: list[Worker]
) -> None:
    groups: dict[str, list[Program]] = {}
    for key, programs in (("frontend.env", frontends[:1]), ("lmcache.env", sidecars[:1])):
        if programs:
            groups[key] = programs
    for one in workers:
        key = "workers.env" if one.role == "worker" else f"workers.{one.role}.env"
        groups.setdefault(key, []).append(one.program)
    kept = environment.carried(groups, sidecar.HANDLED_ENV | HANDLED_ENV)
    found.planned |= kept.planned
    for line, text in kept.left_out:
        found.leave_out(line, text)
    everyone = [program for programs in groups.values() for program in programs]
    if any(program.env.get("DYN_HEALTH_CHECK_ENABLED") == "true" for program in everyone):
        found.draft.put("probes.canary.enabled", True, "DYN_HEALTH_CHECK_ENABLED")
    for key, variables in kept.by_key.items():
        found.draft.put(key, variables)
