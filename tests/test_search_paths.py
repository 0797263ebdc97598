"""Which environment variables are passed on: to a command itself, to its supervisor, to the stack's interpreter."""

from __future__ import annotations

import pytest

from dynkv.surroundings import absolute, of_command, of_stack, of_supervisor


@pytest.mark.parametrize("name", ["PATH", "PYTHONPATH", "LD_LIBRARY_PATH"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/a", "/a"),
        ("/a:/b", "/a:/b"),
        (":/a", "/a"),
        ("/a:", "/a"),
        ("/a::/b", "/a:/b"),
        (".:/a:..", "/a"),
        ("lib:/a:./lib:~/lib", "/a"),
        ("/a b:/c/", "/a b:/c/"),
        ("", None),
        (".", None),
        (":", None),
    ],
)
def test_entries_that_mean_wherever_somebody_is_go_no_further(name: str, given: str, kept: str | None) -> None:
    rest = {"HOME": "relative", "OTHERPATH": ".:lib", "MANPATH": ""}
    assert absolute({**rest, name: given}) == {**rest, **({} if kept is None else {name: kept})}


def test_the_loader_has_another_separator_and_the_place_of_what_is_loaded() -> None:
    assert absolute({"LD_LIBRARY_PATH": "/a;lib;${ORIGIN}/../lib:$ORIGIN"}) == {
        "LD_LIBRARY_PATH": "/a:${ORIGIN}/../lib:$ORIGIN"
    }


GIVEN = {
    "PATH": "/bin",
    "PYTHONPATH": ":/a",
    "PYTHONHOME": "/python",
    "PYTHONUSERBASE": "here",
    "PYTHONPYCACHEPREFIX": "/cache",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONUNBUFFERED": "1",
    "XDG_RUNTIME_DIR": "/run/user/0",
    "PWD": "/here",
    "HF_TOKEN": "x",
}


def test_for_the_command_itself() -> None:
    dropped = {"PYTHONUSERBASE", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS"}
    kept = {name: value for name, value in GIVEN.items() if name not in dropped} | {"PYTHONPATH": "/a"}
    assert of_command(GIVEN) == kept
    assert of_command(kept) == kept


def test_for_the_supervisor() -> None:
    kept = {"PYTHONPATH": "/a", "PYTHONHOME": "/python", "PYTHONPYCACHEPREFIX": "/cache"}
    assert of_supervisor(GIVEN) == {"PATH": "/bin", "HF_TOKEN": "x", **kept}


def test_for_the_stacks_interpreter() -> None:
    rest = {name: value for name, value in GIVEN.items() if not name.startswith("PYTHON")}
    assert of_stack(GIVEN) == {**rest, "PYTHONPATH": "/a"}
