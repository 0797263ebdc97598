"""A postponed module is imported at its first use, even if another module has imported its placeholder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dynkv.cli.postponed import RARELY_USED

POSTPONED = """
import sys
from dynkv.cli.postponed import postpone
postpone("importlib.metadata")
import importlib.metadata as early
from dynkv.profile.load import load
assert load("agg").name == "agg"
assert "pydantic.plugin._loader" in sys.modules and "email" not in sys.modules
from importlib.metadata import version
assert version("pydantic") == early.version("pydantic")
import importlib.metadata as late
assert late.__file__ == early.__file__ and "email" in sys.modules and late is not early
from importlib import metadata
assert metadata.PackageNotFoundError is early.PackageNotFoundError
try:
    early.nothing
except AttributeError as error:
    print(error)
"""
STARRED = """
import sys
from dynkv.cli.postponed import postpone
sys.modules.pop("{module}", None)
postpone("{module}")
namespace = {{}}
exec("from {module} import *", namespace)
import importlib
real, expected = importlib.import_module("{module}"), {{}}
assert hasattr(real, "__file__")
exec("from {module} import *", expected)
assert namespace.keys() == expected.keys() > {{"__builtins__"}}
print("same")
"""
THERE = """
import json, sys
from dynkv.cli.postponed import postpone
postpone("json")
assert sys.modules["json"] is json
"""


def printed(program: str) -> str:
    env = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "PYTHONPATH": ":".join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stdout


def test_it_is_imported_at_its_first_use() -> None:
    assert printed(POSTPONED) == "module 'importlib.metadata' has no attribute 'nothing'\n"


def test_what_is_imported_already_stays() -> None:
    assert printed(THERE) == ""


@pytest.mark.parametrize("module", RARELY_USED)
def test_a_star_takes_all_of_it(module: str) -> None:
    """pynvml takes all of ctypes, which has no `__all__`."""
    assert printed(STARRED.format(module=module)) == "same\n"
