"""Whether the stack can get the model from where the profile says it is. Pure.

Source: ai-dynamo 1.6.1, vllm/main.py: a worker downloads anything that is not an existing path from the Hugging Face
Hub before vLLM sees it, always the main revision and into the cache that Dynamo uses; 1.3.1, 1.4.2 and 1.5.0 do the
same. Every error here was tried with 1.6.1 and vllm 0.31.0, on a CPU and without a network.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.doctor.model_path import STORES, is_gguf, misread, scheme, unexpanded
from dynkv.plan.hub import asks_modelscope, hub_cache, is_offline, is_vllm_offline
from dynkv.plan.served_model import TINY
from dynkv.plan.versions import numbers

_OF_MODEL_EXPRESS = ("modelexpress", "mx")
"""Load formats with which a worker downloads nothing itself. Source: ai-dynamo 1.6.1, vllm/constants.py."""
_LISTS = {"s3": "aws s3 ls", "gs": "gcloud storage ls", "az": "azcopy list", "ngc": "ngc registry model info"}


def checks(case: Case) -> Iterator[Finding]:
    path, facts = case.profile.model.path, case.facts.model
    if path == TINY:
        return
    if is_gguf(path) and (facts.is_file or not facts.is_local):
        yield _gguf(case)
    elif facts.is_local:
        yield from _directory(case)
    elif scheme(path) in _LISTS:
        yield _store(case)
    elif found := misread(path):
        yield _no_path(case, found.why, found.instead)
    else:
        yield from _hub(case)


def is_tried(case: Case) -> bool:
    """Whether this is a version described above; older and newer ones may behave differently."""
    version = case.facts.packages.get("ai-dynamo")
    return version is not None and (1, 6) <= numbers(version) < (1, 7)


def _no_path(case: Case, why: str, instead: str) -> Finding:
    what = f"{case.profile.model.path!r} is neither a directory nor a hub id"
    return finding("model-path", what, why, instead, case.loaded.where("model", "path"))


def _directory(case: Case) -> Iterator[Finding]:
    facts, mark = case.facts.model, case.loaded.where("model", "path")
    hint = "give the directory that contains config.json, a Hugging Face id, or --model tiny"
    if not facts.is_there and (found := unexpanded(case.profile.model.path)):
        yield _no_path(case, found.why, found.instead)
    elif not facts.is_there:
        yield finding(
            "model-not-found",
            f"there is no {facts.path}",
            "a model's path is a directory or a Hugging Face id",
            hint,
            mark,
        )
    elif facts.is_file:
        what = f"{facts.path} is a file"
        yield finding(
            "model-not-found",
            what,
            "a model has to be a directory (ai-dynamo 1.6.1 registers nothing else)",
            hint,
            mark,
        )
    elif not facts.has_config and not reads_params(case):
        what = f"there is no config.json in {facts.path}"
        why = "every model directory has one"
        if facts.has_params:
            why = "with params.json alone Dynamo's frontend has no tokenizer, so the worker has to use its own"
            hint = "add it: model.args: [--use-vllm-tokenizer]"
        yield finding("model-not-found", what, why, hint, mark)


def reads_params(case: Case) -> bool:
    """Whether the worker needs no config.json, and the frontend does not look for one."""
    elsewhere = (
        case.facts.model.has_params or case.told("--hf-config-path") or case.told("--config-format") == "mistral"
    )
    return bool(elsewhere) and case.told("--use-vllm-tokenizer") == "true"


def _gguf(case: Case) -> Finding:
    path, mark = case.profile.model.path, case.loaded.where("model", "path")
    if not is_tried(case):
        return _unjudged(
            case, f"{path} is GGUF", "ai-dynamo 1.6.1 could not serve any", "dynkv up, and dynkv logs worker-0"
        )
    return finding(
        "model-gguf",
        f"{path} is GGUF, which ai-dynamo {case.facts.packages['ai-dynamo']} does not serve",
        "it needs a directory with config.json and a tokenizer; vLLM reads GGUF only with vllm-gguf-plugin",
        "use the original model, perhaps quantised with AWQ, GPTQ or FP8",
        mark,
    )


def _store(case: Case) -> Finding:
    path = case.profile.model.path
    asks = f"{_LISTS[scheme(path)]} {shlex.quote(path)}"
    reads_it = case.told("--load-format") in _OF_MODEL_EXPRESS or scheme(path) not in STORES
    if reads_it or not is_tried(case):
        return _unjudged(case, f"dynkv cannot look at {path}", "it may be missing, or you may lack access", asks)
    return finding(
        "model-object-store",
        f"a worker of ai-dynamo {case.facts.packages['ai-dynamo']} cannot read {path}",
        "it asks the Hugging Face hub for a model of that name before vLLM sees it, and exits",
        "download it and give the directory; --load-format runai_streamer works from there too",
        case.loaded.where("model", "path"),
    )


def _unjudged(case: Case, what: str, why: str, command: str) -> Finding:
    return finding("model-unjudged", what, why, f"to find out: {command}", case.loaded.where("model", "path"))


def _hub(case: Case) -> Iterator[Finding]:
    path, env = case.profile.model.path, case.workers_env
    where, revision = hub_cache(env), case.told("--revision")
    ahead = _download(path, revision)
    if case.facts.model_files is None and is_offline(env):
        wanted = f"{path} at {revision}" if revision else path
        yield finding(
            "model-not-cached",
            f"{wanted} is not in the hub cache at {where}, and HF_HUB_OFFLINE is set",
            "the workers may not download it",
            f"unset HF_HUB_OFFLINE, download it first ({ahead}), or give a directory",
            case.loaded.where("model", "path"),
        )
        return
    if case.facts.model_files is None and is_vllm_offline(env):
        why = "vLLM may not download it; Dynamo, which respects only HF_HUB_OFFLINE, does so first, perhaps in part"
        yield _unjudged(case, f"{path} is not in the hub cache at {where}, and TRANSFORMERS_OFFLINE is set", why, ahead)
    elif case.facts.model_files is None:
        yield finding(
            "model-download",
            f"{path} is not on this host yet",
            f"the first start downloads it to {where}, and takes that much longer",
            f"nothing to do; to download it ahead of time: {ahead}",
        )
    if case.has_engine and asks_modelscope(env):
        yield _modelscope(case)
    yield from _vllms_alone(case)


def _modelscope(case: Case) -> Finding:
    path = case.profile.model.path
    return finding(
        "model-from-modelscope",
        f"the workers ask the Hugging Face hub for {path} before vLLM asks ModelScope",
        "they exit if the hub does not have it, or cannot be reached",
        f"download it and give the directory: modelscope download --model {path} --local_dir DIRECTORY",
        case.loaded.where("model", "path"),
    )


def _vllms_alone(case: Case) -> Iterator[Finding]:
    """Arguments that Dynamo ignores."""
    path, revision, directory = case.profile.model.path, case.told("--revision"), case.told("--download-dir")
    files = case.facts.model_files
    if revision not in (None, "main") and not (files and files.is_what_dynamo_finds):
        yield finding(
            "model-revision",
            f"only vLLM uses --revision {revision}: Dynamo takes configuration, tokenizer and template from main",
            "main is downloaded as well, and where the two differ the model gets wrong prompts",
            f"give a directory: {_download(path, revision)} --local-dir DIRECTORY",
            case.loaded.where("model", "args"),
        )
    if directory is not None:
        yield finding(
            "model-download-dir",
            f"only vLLM uses --download-dir {directory}, and only for the weights",
            f"Dynamo downloads the whole model to {hub_cache(case.workers_env)} first, so it is stored twice",
            f"remove it and set env: {{HF_HUB_CACHE: {directory}}}",
            case.loaded.where("model", "args"),
        )


def _download(path: str, revision: str | None) -> str:
    return f"hf download {path}" + (f" --revision {shlex.quote(revision)}" if revision else "")
