"""The programs in a component's container, as a launch script would start them. Pure.

Source: ai-dynamo/dynamo, deploy/operator/internal/dynamo/component_frontend.go and component_common.go (015d780b), for
what the operator runs if a component does not say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from dynkv.bash.reading import read_script
from dynkv.bash.shell import Started
from dynkv.bash.values import Variables, unknown
from dynkv.errors import ScriptError
from dynkv.init.component import Component
from dynkv.init.conversion import Conversion
from dynkv.init.helpers import HELPERS
from dynkv.init.variables import replaced

CONNECTION = "kv-transfer-config"
"""Part of the name of the file that LMCache's operator makes for an engine."""
_LMCACHE = json.dumps({"kv_connector": "LMCacheMPConnector", "kv_role": "kv_both"})
_FRONTEND = ("python3", "-m", "dynamo.frontend")
_SHELLS = frozenset("sh bash dash".split())


def started(found: Conversion, component: Component, env: Mapping[str, str]) -> list[Started]:
    """The started programs. Raises ScriptError if the component names no program, or a script that cannot be read."""
    command, args = component.container.words("command"), component.container.words("args")
    if not command and component.kind == "frontend":
        command = list(_FRONTEND[:1]) if args else list(_FRONTEND)
    elif not command and args:
        if args[0].startswith("-"):
            raise ScriptError(f"{component.name} has arguments, but does not say for which program", component.line)
        command = ["/bin/sh", "-c"]
    words = [replaced(word, env) for word in (*command, *args)]
    script = _script(words)
    if script is None:
        return [Started(component.line, tuple(words), env)] if words else []
    return _of_script(found, component, words[script:], env)


def _script(words: Sequence[str]) -> int | None:
    """The index of a shell's script among the words; None if no shell has one."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return None
    behind = next((at for at, word in enumerate(words) if re.fullmatch(r"-[a-z]*c", word)), None)
    return None if behind is None or behind + 1 >= len(words) else behind + 1


def _of_script(found: Conversion, component: Component, words: Sequence[str], env: Mapping[str, str]) -> list[Started]:
    """Programs of a script with its name and arguments. They are attributed to the component's line."""
    text, *rest = words
    try:
        record = read_script(text, component.name, rest[1:], env, {**HELPERS, "cat": _read})
    except ScriptError as error:
        raise ScriptError(f"the script of {component.name}: {error.what}", component.line, hint=error.hint) from None
    for remark in record.remarks:
        found.leave_out(component.line, f"{component.name}: {remark.text}")
    return [Started(component.line, it.argv, {**env, **it.env}, it.is_background) for it in record.started]


def _read(files: list[str], variables: Variables) -> str:
    """The contents of a file that LMCache's operator has made, as far as they are the same for all."""
    if len(files) == 1 and CONNECTION in files[0]:
        return _LMCACHE
    return unknown(f"$(cat {' '.join(files)})")
