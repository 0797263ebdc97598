"""Import this first in a long-running program that uses anyio: OpenSSL is not loaded until a connection is encrypted.

asyncio and anyio import it at once, which costs a process 4 MB (OpenSSL 3.0), and of a supervisor's connections only
those to etcd may be encrypted. Afterwards `import ssl` and anyio's TLS work as usual; asyncio's own TLS does not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import dynkv.own_digests  # noqa: F401  (it must come before anything that imports hashlib)


def _leave_out() -> None:
    if "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # importing it fails, which asyncio can live with
    try:
        import_module("asyncio")
        sys.modules["ssl"] = stand_in = _stand_in()
        import_module("anyio.streams.tls")
        _ = import_module("anyio").connect_tcp  # anyio 4.16 imports its sockets when they are asked for
        del stand_in.SSLContext
    finally:
        del sys.modules["ssl"]


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


_leave_out()
