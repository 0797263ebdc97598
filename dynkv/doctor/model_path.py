"""What a model path that is neither a directory nor a hub id probably means. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

STORES = ("s3", "gs", "az")
"""Object stores that vLLM reads. Source: vllm 0.31.0, transformers_utils/runai_utils.py."""
_PART = r"\b[\w\-.]{1,96}\b"
_ID = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)
"""Pattern of a hub id. Source: huggingface_hub 1.33.0, utils/_validators.py."""
_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#]+)(?:/(?:tree|blob|resolve)/([^/?#]+))?.*"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_QUANT = re.compile(r"[^:]+:(?:UD-)?(?:I?Q|TQ|B?F|MXFP)\d\w*", re.IGNORECASE)
_DRIVE = re.compile(r"([A-Za-z]):[\\/](.*)", re.DOTALL)
_AT = re.compile(r"([^@]+)@([^@/]+)")


class Misread(Struct, frozen=True):
    """The reason `why` this is not a model path, and what to write instead."""

    why: str
    instead: str


def scheme(path: str) -> str:
    """The scheme, such as `s3` of `s3://bucket/model`; empty without one."""
    found = _SCHEME.fullmatch(path)
    return found[1].lower() if found else ""


def is_id(path: str) -> bool:
    return bool(_ID.fullmatch(path)) and "--" not in path and ".." not in path and not path.endswith(".git")


def is_gguf(path: str) -> bool:
    """Whether it is a GGUF file, such a file in a repository, or a repository with a quantisation after a colon.

    Source: ls1intum/edutelligence#862, on vllm-gguf-plugin 0.0.5.
    """
    return path.lower().endswith(".gguf") or (_QUANT.fullmatch(path) is not None and not scheme(path))


def misread(path: str) -> Misread | None:
    """What is wrong; None if it may be an id. `path` is not a directory here and does not look like one."""
    if is_id(path):
        return None
    return _address(path) or _variable(path) or _spelling(path) or _parts(path) or _characters(path)


def unexpanded(path: str) -> Misread | None:
    """A variable or home that nothing expands, also in paths that look like directories."""
    return _variable(path) or _home(path)


def _address(path: str) -> Misread | None:
    if page := _HUB_PAGE.fullmatch(path):
        revision = f", and model.args: [--revision, {page[2]}]" if page[2] not in (None, "main") else ""
        return Misread("that is the address of a page on the Hugging Face hub", f"write {page[1]}{revision}")
    kind, _, rest = path.partition("://")
    if not scheme(path):
        return None
    if kind.lower() == "hf":
        return Misread("the stack does not read models from hf://", f"write {rest.strip('/')}")
    if kind.lower() == "file":
        return Misread("the stack does not read models from file://", f"write /{rest.lstrip('/')}")
    return Misread(f"nothing in the stack reads {kind}://", "download it and give the directory")


def _variable(path: str) -> Misread | None:
    if "$" not in path:
        return None
    return Misread(
        "variables are not expanded in a profile, nor by a shell inside single quotes",
        f'write the full path, or let the shell expand it: --model "{path}"',
    )


def _home(path: str) -> Misread | None:
    user = path[1:].partition("/")[0] if path.startswith("~") else ""
    return Misread(f"there is no user {user} on this host", "write the full path, starting with /") if user else None


def _spelling(path: str) -> Misread | None:
    if path != path.strip():
        return Misread(
            "it begins or ends with spaces", f"write {path.strip()}" if path.strip() else "write a path or an id"
        )
    if found := _DRIVE.fullmatch(path):
        rest = found[2].replace("\\", "/")
        return Misread("it is a Windows path", f"inside WSL, write /mnt/{found[1].lower()}/{rest}")
    if "\\" in path:
        return Misread("the separator is /", f"write {path.replace(chr(92), '/')}")
    found = _AT.fullmatch(path)
    if found and is_id(found[1]):
        return Misread(
            "the revision is a separate argument", f"write {found[1]}, and model.args: [--revision, {found[2]}]"
        )
    return None


def _parts(path: str) -> Misread | None:
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2:
        return Misread(
            f"an id has at most two parts, and there is no directory {path} here",
            "write the directory's full path, or ORGANISATION/NAME",
        )
    tidy = "/".join(parts)
    return Misread("one part of it is empty", f"write {tidy}") if parts and tidy != path and is_id(tidy) else None


def _characters(path: str) -> Misread:
    odd = sorted({char for char in path if not re.match(r"[\w\-./]", char, re.ASCII)})
    if odd:
        why = f"the hub does not allow {' '.join(map(repr, odd))} in an id"
    elif max(map(len, path.split("/"))) > 96:
        why = "a part of an id has at most 96 characters"
    else:
        why = "no part of an id starts or ends with - or ., contains -- or .., or ends in .git"
    return Misread(why, "write ORGANISATION/NAME as the hub shows it, or a directory's full path")
