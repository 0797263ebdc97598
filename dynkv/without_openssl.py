"""Leaves OpenSSL out of a program that stays, until something is encrypted. To be imported before anything else.

asyncio, anyio and hashlib import OpenSSL at once, which takes 4 MB of a process (OpenSSL 3.0). Python has algorithms of
its own for digests, and of a supervisor's connections only those to etcd may be encrypted. Afterwards `import ssl` and
anyio's TLS work as always; asyncio's own TLS does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_SHA2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
_ALGORITHMS = ("_md5", "_sha1", *_SHA2, "_sha3", "_blake2")
"""Python's own modules for digests, without which some are built. Source: CPython's configure,
--with-builtin-hashlib-hashes."""


def leave_out() -> None:
    """Import what would import OpenSSL, without it. Does nothing if it is there already."""
    if "ssl" in sys.modules or "_hashlib" in sys.modules:
        return
    with_own = all(map(find_spec, _ALGORITHMS))
    # None: the import fails, which both can live with
    sys.modules.update({"ssl": None, **({"_hashlib": None} if with_own else {})})  # type: ignore[dict-item]
    try:
        import_module("hashlib")
        import_module("asyncio")
        sys.modules["ssl"] = _stand_in()
        import_module("anyio.streams.tls")
        _ = import_module("anyio").connect_tcp  # anyio 4.16 imports its sockets when they are asked for
    finally:
        for name in ("ssl", "_hashlib") if with_own else ("ssl",):
            del sys.modules[name]


def _stand_in() -> ModuleType:
    """What anyio knows as `ssl`: everything in it is that of the real module, imported when it is asked for."""
    module = ModuleType("ssl")

    def attribute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("ssl"), name)

    module.SSLContext = object  # type: ignore[attr-defined]  # anyio imports it for annotations
    module.__getattr__ = attribute  # type: ignore[method-assign]
    return module


leave_out()
