"""What somebody meant by a model's path that is neither a directory nor an id of the hub. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

STORES = ("s3", "gs", "az")
"""Object stores that vLLM reads. Source: vllm 0.31.0, transformers_utils/runai_utils.py."""
_PART = r"\b[\w\-.]{1,96}\b"
_ID = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)
"""Source: huggingface_hub 1.33.0, utils/_validators.py."""
_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#]+)(?:/(?:tree|blob|resolve)/([^/?#]+))?.*"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_QUANT = re.compile(r"[^:]+:(?:UD-)?(?:I?Q|TQ|B?F|MXFP)\d\w*", re.IGNORECASE)
_DRIVE = re.compile(r"([A-Za-z]):[\\/](.*)", re.DOTALL)
_AT = re.compile(r"([^@]+)@([^@/]+)")


@dataclass(frozen=True, slots=True)
class Misread:
    """`why` it can be no model's path, and what to write instead."""

    why: str
    instead: str


def scheme(path: str) -> str:
    """`s3` of `s3://bucket/model`; empty for what has none."""
    found = _SCHEME.fullmatch(path)
    return found[1].lower() if found else ""


def is_id(path: str) -> bool:
    return bool(_ID.fullmatch(path)) and "--" not in path and ".." not in path and not path.endswith(".git")


def is_gguf(path: str) -> bool:
    """A file, one in a repository, or a repository with a quantisation behind a colon.

    Source: ls1intum/edutelligence#862, on vllm-gguf-plugin 0.0.5.
    """
    return path.lower().endswith(".gguf") or (_QUANT.fullmatch(path) is not None and not scheme(path))


def misread(path: str) -> Misread | None:
    """None for what may be an id. `path` is neither a directory here nor written like one."""
    if is_id(path):
        return None
    return _address(path) or _variable(path) or _spelling(path) or _parts(path) or _characters(path)


def unexpanded(path: str) -> Misread | None:
    """For a path that is written like a directory's, too."""
    return _variable(path) or _home(path)


def _address(path: str) -> Misread | None:
    if page := _HUB_PAGE.fullmatch(path):
        revision = f", and model.args: [--revision, {page[2]}]" if page[2] not in (None, "main") else ""
        return Misread("it is the address of a page of the hub", f"write {page[1]}{revision}")
    kind, _, rest = path.partition("://")
    if not scheme(path):
        return None
    if kind.lower() == "hf":
        return Misread("the stack reads no hf:// for a model", f"write {rest.strip('/')}")
    if kind.lower() == "file":
        return Misread("the stack reads no file:// for a model", f"write /{rest.lstrip('/')}")
    return Misread(f"nothing of the stack reads {kind}://", "download it to a directory, and give that")


def _variable(path: str) -> Misread | None:
    if "$" not in path:
        return None
    return Misread(
        "a profile expands no variables, and neither does a shell within single quotes",
        f'write the whole path, or let the shell put it in: --model "{path}"',
    )


def _home(path: str) -> Misread | None:
    user = path[1:].partition("/")[0] if path.startswith("~") else ""
    return Misread(f"there is no user {user} on this host", "write the whole path, from / on") if user else None


def _spelling(path: str) -> Misread | None:
    if path != path.strip():
        return Misread(
            "there is a space around it", f"write {path.strip()}" if path.strip() else "write a path or an id"
        )
    if found := _DRIVE.fullmatch(path):
        rest = found[2].replace("\\", "/")
        return Misread("it is a path of Windows", f"in its Linux subsystem write /mnt/{found[1].lower()}/{rest}")
    if "\\" in path:
        return Misread("parts are divided by /", f"write {path.replace(chr(92), '/')}")
    found = _AT.fullmatch(path)
    if found and is_id(found[1]):
        return Misread(
            "a revision is an argument of its own", f"write {found[1]}, and model.args: [--revision, {found[2]}]"
        )
    return None


def _parts(path: str) -> Misread | None:
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2:
        return Misread(
            f"an id has two parts at most, and from where dynkv runs there is no such directory as {path}",
            "write a directory's path from / on, or ORGANISATION/NAME",
        )
    tidy = "/".join(parts)
    return Misread("a part of it is empty", f"write {tidy}") if parts and tidy != path and is_id(tidy) else None


def _characters(path: str) -> Misread:
    odd = sorted({char for char in path if not re.match(r"[\w\-./]", char, re.ASCII)})
    if odd:
        why = f"the hub takes no {' '.join(map(repr, odd))} in an id"
    elif max(map(len, path.split("/"))) > 96:
        why = "a part of an id has at most 96 characters"
    else:
        why = "a part of an id neither begins nor ends with - or ., has no -- or .., and does not end with .git"
    return Misread(why, "write ORGANISATION/NAME as the hub shows it, or a directory's path from / on")
