"""Modules that others import at once and use rarely: imported at their first use instead."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

RARELY_USED = (
    "importlib.metadata",
    "base64",
    "ctypes",
    "difflib",
    "glob",
    "hashlib",
    "shutil",
    "subprocess",
    "tempfile",
)
"""Modules that `up` can do without until a supervisor starts, or altogether: pydantic wants the first one for plugins,
which are disabled, and it imports an email parser."""


def postpone(name: str) -> None:
    """Let something else stand for the module until one of its attributes is asked for. Source: PEP 562.

    importlib.util.LazyLoader would not do: any further `import` of the module loads it (CPython 3.11).
    """
    if name in sys.modules:
        return
    instead = ModuleType(name)

    def attribute(asked: str) -> Any:
        if sys.modules.get(name) is instead:
            sys.modules.pop(name, None)
        module = import_module(name)
        if asked == "__all__" and not hasattr(module, asked):  # `from … import *`
            return [public for public in vars(module) if not public.startswith("_")]
        return getattr(module, asked)

    instead.__getattr__ = attribute  # type: ignore[method-assign]
    sys.modules[name] = instead
    package, _, last = name.rpartition(".")
    if package:
        setattr(import_module(package), last, instead)
