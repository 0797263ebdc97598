"""Workers that a frontend ignores because their model cards differ from the first worker's. Pure.

Dynamo's frontend keeps the first configuration, rejects workers with a different one, and reports that only in its own
log. Source: ai-dynamo 1.6.1, lib/llm/src/discovery/controller.rs; `mdcsum` in model_card.rs hashes what is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dynkv.cluster.entry import Entry
from dynkv.cluster.instances import Instance

_FILES = {
    "model_info": "config.json",
    "tokenizer": "tokenizer",
    "prompt_formatter": "tokenizer_config.json",
    "chat_template_file": "chat template",
    "gen_config": "generation_config.json",
}
"""Files by their keys in a card, compared by checksum regardless of their location."""
_OTHER_FILES = "set of other files"
_VALUES = {
    "source_path": "path of the model",
    "kv_cache_block_size": "block size",
    "aliases": "list of other names",
    "needs": "list of needed roles",
    "router_config": "router's configuration",
    "prompt_context": "prompt context",
}
_GROUP = ("display_name", "model_type", "worker_type")
"""Keys that must be equal for two workers of a component to be interchangeable."""


def rejections(entries: Iterable[Entry], found: Iterable[Instance]) -> dict[int, str]:
    """Compare cards. Returns, by lease, how a worker's card differs from that of the first worker."""
    addresses = {instance.lease: instance.address for instance in found}
    first: dict[tuple[str, ...], tuple[int, dict[str, str]]] = {}
    odd: dict[int, str] = {}
    for entry in sorted(entries, key=lambda it: it.created):
        card = _card(entry)
        if card is None:
            continue
        group = (entry.key.rpartition("/")[0], *(str(card.get(name)) for name in _GROUP))
        compared = _compared(card)
        lease, incumbent = first.setdefault(group, (entry.lease, compared))
        if compared != incumbent:
            odd[entry.lease] = _difference(compared, incumbent, addresses.get(lease, "another worker"))
    return odd


def _card(entry: Entry) -> dict[str, Any] | None:
    if not entry.key.startswith("v1/mdc/"):
        return None
    try:
        card = json.loads(entry.value)["card_json"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return card if isinstance(card, dict) else None


def _compared(card: dict[str, Any]) -> dict[str, str]:
    runtime = card.get("runtime_config")
    limit = runtime.get("context_length") if isinstance(runtime, dict) else None
    context = next((it for it in (limit, card.get("architectural_max_context_length")) if it is not None), None)
    files = {name: _checksums(card.get(key)) for key, name in _FILES.items()}
    values = {name: _text(card.get(key)) for key, name in _VALUES.items()}
    extra = card.get("extra_files")
    return {
        **files,
        **values,
        "context length": _text(context),
        _OTHER_FILES: ", ".join(sorted(map(_checksums, extra))) if isinstance(extra, list) else "none",
    }


def _checksums(described: object) -> str:
    """The checksum of a file described as `{KIND: {"path": …, "checksum": …}}`; anything else as text."""
    if isinstance(described, dict):
        if isinstance(checksum := described.get("checksum"), str):
            return checksum
        if len(described) == 1:
            return _checksums(next(iter(described.values())))
    return _text(described)


def _text(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _difference(own: dict[str, str], other: dict[str, str], where: str) -> str:
    """The differences in words, without checksums, which mean nothing to a reader."""
    files = {*_FILES.values(), _OTHER_FILES}
    return "; ".join(
        f"its {name} differs from that at {where}"
        if name in files
        else f"its {name} is {own[name]} here but {other[name]} at {where}"
        for name in own
        if own[name] != other[name]
    )
