"""Whether the model's files exist and can be served as the profile says. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor import model_origin
from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.facts import ModelFiles
from dynkv.plan.served_model import TINY
from dynkv.plan.versions import at_least

_FRONTEND_READS = ("tokenizer.json", "tiktoken.model")
"""Tokenizer files that the frontend reads, besides those that end in .tiktoken, of Kimi's models. Source: ai-dynamo
1.6.1, tried with each kind of file alone."""
_OWN_TOKENIZER = ("--use-vllm-tokenizer", "--embedding-worker", "--classify-worker", "--realtime")
"""Options with which a worker receives text, and the frontend does not tokenize it (ai-dynamo 1.6.1)."""
_NAMED_BY_THE_INDEX = (None, "auto", "hf", "safetensors", "pt", "mistral", "runai_streamer", "fastsafetensors")
"""Load formats that read the weights as published. Source: vllm 0.31.0, model_loader."""
_AGAIN = "copy the model again, or download it again"


def checks(case: Case) -> Iterator[Finding]:
    yield from model_origin.checks(case)
    files, facts = case.facts.model_files, case.facts.model
    can_be_one = facts.has_config or not facts.is_local or model_origin.reads_params(case)
    if files is not None and can_be_one and case.profile.model.path != TINY:
        where = facts.path or f"the hub's cache of {case.profile.model.path}"
        yield from _tokenizer(case, files, where)
        yield from _files(case, files, where)
    yield from _served_name(case)
    yield from _router(case)
    yield from _chunk(case)


def _tokenizer(case: Case, files: ModelFiles, where: str) -> Iterator[Finding]:
    mark = case.loaded.where("model", "path")
    with_vllms = ", or let the worker tokenize: model.args: [--use-vllm-tokenizer]"
    if not files.tokenizer and case.told("--tokenizer") is None:
        yield finding(
            "model-tokenizer-missing",
            f"there is no tokenizer in {where}",
            "the frontend needs it to tokenize text: tokenizer.json, or *.tiktoken",
            _AGAIN,
            mark,
        )
    elif not model_origin.is_tried(case) or any(case.told(option) == "true" for option in _OWN_TOKENIZER):
        return
    elif files.tokenizer not in _FRONTEND_READS and not files.tokenizer.endswith(".tiktoken"):
        there = f"{files.tokenizer} in {where} is" if files.tokenizer else f"--tokenizer {case.told('--tokenizer')} is"
        yield finding(
            "model-tokenizer-unread",
            f"{there} no tokenizer that Dynamo's frontend can read",
            "it takes tokenizer.json or *.tiktoken from the model's directory, and is never ready without one",
            f"put such a file there, and tokenizer_config.json{with_vllms if case.has_engine else ''}",
            mark,
        )
    elif not files.has_chat_template and not _has_another_template(case):
        yield finding(
            "model-chat-template",
            f"there is no chat template in {where}",
            "the frontend takes it from tokenizer_config.json, or from chat_template.jinja next to it, and is never "
            "ready to chat without one",
            "add one (model.args: [--custom-jinja-template, FILE]), or serve only completions (model.args: "
            "[--endpoint-types, completions])",
            mark,
        )


def _has_another_template(case: Case) -> bool:
    kinds = case.told("--endpoint-types")
    return case.told("--custom-jinja-template") is not None or (kinds is not None and "chat" not in kinds)


def _files(case: Case, files: ModelFiles, where: str) -> Iterator[Finding]:
    mark = case.loaded.where("model", "path")
    if files.config_problem:
        yield finding(
            "model-config",
            f"the configuration in {where} cannot be read: {files.config_problem}",
            "it says what kind of model this is",
            _AGAIN,
            mark,
        )
    if not case.has_engine or case.told("--load-format") not in _NAMED_BY_THE_INDEX:
        return
    if files.missing_weights:
        count, first = len(files.missing_weights), files.missing_weights[0]
        more = f" and {count - 1} more" if count > 1 else ""
        yield finding(
            "model-weights-missing",
            f"{where} lacks {first}{more}",
            "the index of the weights lists them, and no worker starts without them",
            _AGAIN,
            mark,
        )
    elif not files.weights_bytes:
        yield finding(
            "model-weights-missing",
            f"there are no weights in {where}",
            "no worker starts without them, except with random weights: model.args: [--load-format, dummy]",
            _AGAIN,
            mark,
        )
    elif files.only_gguf and "vllm-gguf-plugin" not in case.facts.packages:
        yield finding(
            "model-gguf",
            f"all weights in {where} are in GGUF",
            "vLLM reads them with vllm-gguf-plugin only",
            "give a directory with safetensors",
            mark,
        )


def _served_name(case: Case) -> Iterator[Finding]:
    facts, names = case.facts, case.profile.model.names
    if not names or at_least(facts.packages, "ai-dynamo", 1, 4):
        return
    if case.plan.model_aliases:
        yield finding(
            "served-names-several",
            f"ai-dynamo {facts.packages['ai-dynamo']} serves a model under one name, but {len(names)} are given",
            "its workers refuse more, and exit at once",
            f"use only {names[0]}, or install ai-dynamo 1.4 or later",
            case.loaded.where("model", "served_name"),
        )
    if facts.model.is_local and not names[0].startswith("/"):
        yield finding(
            "served-name-not-found",
            f"ai-dynamo {facts.packages['ai-dynamo']} cannot serve a local model under the name {case.plan.model}",
            "its frontend looks for the tokenizer under the served name, so it would never be ready",
            "remove model.served_name, or install ai-dynamo 1.4 or later",
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
            f"a prompt has at most {longest} tokens, but lmcache.chunk_size is {chunk}",
            "the sidecar stores whole chunks only, so it would never hold anything",
            f"lower lmcache.chunk_size to a multiple of {case.profile.block_size} below {longest}, or use --no-lmcache",
            case.loaded.where("lmcache", "chunk_size"),
        )
