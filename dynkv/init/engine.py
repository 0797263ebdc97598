"""An LMCacheEngine as the `lmcache server` that it runs. Pure.

Source: LMCache/LMCache, operator/api/v1alpha1/lmcacheengine_types.go (03b05250).
"""

from __future__ import annotations

import json

from dynkv.init.conversion import Conversion
from dynkv.init.manifest import Manifest, Part
from dynkv.init.programs import Kind, Program
from dynkv.init.remains import tell
from dynkv.init.variables import variables


def server(found: Conversion, engine: Manifest) -> Program:
    spec = engine.spec
    tell(found, spec, "engine", engine.name)
    words = [*_sizes(spec), *_l2(found, spec), *spec.words("extraArgs")]
    env = variables(found, tuple(spec.parts("env")))
    return Program(Kind.LMCACHE, spec.line, ("lmcache", "server", *words), tuple(words), env)


def _sizes(spec: Part) -> list[str]:
    given = {
        "--l1-size-gb": spec.part("l1").text("sizeGB"),
        "--chunk-size": spec.part("server").text("chunkSize"),
        "--eviction-policy": spec.part("eviction").text("policy"),
    }
    return [word for option, value in given.items() if value for word in (option, value.removesuffix(".0"))]


def _l2(found: Conversion, spec: Part) -> list[str]:
    backend = spec.part("l2Backend")
    raw = backend.part("raw")
    for key in backend.data:
        if key != "raw":
            found.leave_out(backend.line_of(key), f"l2Backend.{key}: write it under lmcache.l2")
    if not raw.data:
        return []
    return ["--l2-adapter", json.dumps({"type": raw.text("type"), **raw.part("config").data})]
