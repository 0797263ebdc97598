"""Whether the model's files are there, and can be served as the profile says. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.facts import ModelFiles
from dynkv.plan.model import Role
from dynkv.plan.served_model import TINY
from dynkv.plan.versions import at_least

_OFF = {"1", "ON", "YES", "TRUE"}
"""Source: huggingface_hub, constants.py, ENV_VARS_TRUE_VALUES."""


def checks(case: Case) -> Iterator[Finding]:
    facts = case.facts.model
    if facts.is_local and not facts.has_config:
        yield finding(
            "model-not-found",
            f"there is no config.json in {facts.path}",
            "a model's directory has one",
            "give the directory that holds config.json, a Hugging Face id, or --model tiny",
            case.loaded.where("model", "path"),
        )
    elif not facts.is_local:
        yield from _of_the_hub(case)
    elif case.facts.model_files is not None:
        yield from _files(case, case.facts.model_files)
    yield from _served_name(case)
    yield from _router(case)
    yield from _chunk(case)


def _of_the_hub(case: Case) -> Iterator[Finding]:
    if case.facts.model_files is not None or case.profile.model.path == TINY:
        return
    path = case.profile.model.path
    env = next((unit.env for unit in case.plan.units if unit.role is Role.FRONTEND), {})
    if env.get("HF_HUB_OFFLINE", "").upper() in _OFF:
        yield finding(
            "model-not-cached",
            f"{path} is not in the hub's cache, and HF_HUB_OFFLINE is set",
            "the workers may not download it",
            f"unset HF_HUB_OFFLINE, download it first (hf download {path}), or give a directory",
            case.loaded.where("model", "path"),
        )
    else:
        yield finding(
            "model-download",
            f"{path} is not on this host yet",
            "the first start downloads it, and is ready that much later",
            f"nothing to do; to have it ahead: hf download {path}",
        )


def _files(case: Case, files: ModelFiles) -> Iterator[Finding]:
    path, mark = case.facts.model.path, case.loaded.where("model", "path")
    again = "copy the model again, or download it again"
    if files.config_problem:
        yield finding(
            "model-config",
            f"config.json in {path} cannot be read: {files.config_problem}",
            "it says what kind of model this is",
            again,
            mark,
        )
    if not files.has_tokenizer:
        yield finding(
            "model-tokenizer-missing",
            f"there is no tokenizer in {path}",
            "the frontend makes tokens of text with it: tokenizer.json, or tokenizer.model",
            again,
            mark,
        )
    if not case.has_engine or "--load-format" in " ".join(case.profile.model.args):
        return
    if files.missing_weights:
        count, first = len(files.missing_weights), files.missing_weights[0]
        more = f" and {count - 1} more" if count > 1 else ""
        yield finding(
            "model-weights-missing",
            f"{path} lacks {first}{more}",
            "the index of the weights names them, and no worker starts without",
            again,
            mark,
        )
    elif not files.weights_bytes:
        yield finding(
            "model-weights-missing",
            f"there are no weights in {path}",
            "no worker starts without; with random weights it does: model.args: [--load-format, dummy]",
            again,
            mark,
        )


def _served_name(case: Case) -> Iterator[Finding]:
    facts, names = case.facts, case.profile.model.names
    if not names or at_least(facts.packages, "ai-dynamo", 1, 4):
        return
    if case.plan.model_aliases:
        yield finding(
            "served-names-several",
            f"ai-dynamo {facts.packages['ai-dynamo']} serves a model under one name, and {len(names)} are given",
            "its workers refuse more, and die at start",
            f"leave it at {names[0]}, or install ai-dynamo 1.4 or later",
            case.loaded.where("model", "served_name"),
        )
    if facts.model.is_local and not names[0].startswith("/"):
        yield finding(
            "served-name-not-found",
            f"ai-dynamo {facts.packages['ai-dynamo']} cannot serve a local model under the name {case.plan.model}",
            "its frontend looks for the tokenizer under the served name, so it would never be ready",
            "leave model.served_name out, or install ai-dynamo 1.4 or later",
            case.loaded.where("model", "served_name"),
        )


def _router(case: Case) -> Iterator[Finding]:
    if case.profile.frontend.router_mode == "kv" and case.has_sidecar and case.has_engine:
        yield finding(
            "router-sees-gpu-only",
            "the KV router does not see what the sidecar holds",
            "it routes by the blocks in the workers' own memory (LMCache#4684)",
            "nothing to do: a worker still finds the rest of a prompt in the sidecar",
        )


def _chunk(case: Case) -> Iterator[Finding]:
    chunk, longest = case.profile.lmcache.chunk_size, case.profile.model.max_length
    if case.has_sidecar and case.has_engine and longest is not None and longest < chunk:
        yield finding(
            "chunk-above-prompt",
            f"a prompt has at most {longest} tokens, and lmcache.chunk_size is {chunk}",
            "the sidecar stores whole chunks only, so it would never hold anything",
            f"lower lmcache.chunk_size to a multiple of {case.profile.block_size} below {longest}, or use --no-lmcache",
            case.loaded.where("lmcache", "chunk_size"),
        )
