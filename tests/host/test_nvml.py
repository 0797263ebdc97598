"""A host without NVIDIA's library."""

from __future__ import annotations

import subprocess
import sys

import pynvml
import pytest

from dynkv.host import gpus


def test_it_says_what_nvml_says_without_importing_that() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound as error:
        script = "import sys\nfrom dynkv.host.gpus import look\nprint(look()[1].problem, 'pynvml' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == f"{error} False\n"
    else:
        pytest.skip("this host has it")


def test_one_that_has_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(gpus, "CDLL", lambda name: name)
    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert gpus.look()[1].problem == "Driver Not Loaded"
