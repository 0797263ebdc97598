"""Sections that are checked apart: absent ones cost no time, and nothing else is different."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from dynkv.profile.lmcache import LMCache
from dynkv.profile.model import Profile, Restart

SMALL = {"topology": "none", "units": [{"name": "one", "argv": ["sleep", "1"]}], "restart": {"max_restarts": 1}}


def read(**keys: object) -> Profile:
    return Profile.model_validate_json(json.dumps({**SMALL, **keys}))


def test_what_checks_a_section_is_made_for_a_profile_that_has_it() -> None:
    script = (
        "import json, sys\nfrom dynkv.profile.model import LMCache, Model, OwnUnit, Profile, Restart, Workers\n"
        "Profile.model_validate_json(sys.argv[1])\n"
        "print([it.__pydantic_complete__ for it in (Profile, OwnUnit, Restart, LMCache, Model, Workers)])"
    )
    command = [sys.executable, "-c", script, json.dumps(SMALL)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.lower()) == [True, True, True, False, False, False]


def test_what_is_left_out_is_as_if_it_had_been_written_without_keys() -> None:
    left_out, empty = read(), read(lmcache={}, probes={}, workers={"decode": {}}, model={"role_args": {}}, cluster={})
    assert left_out == empty
    assert left_out.model_dump() == empty.model_dump()
    assert left_out.model_dump(exclude_unset=True).keys() == SMALL.keys()


@pytest.mark.parametrize("mode", ["json", "python"])
def test_a_dump_is_of_all_sections_in_the_same_way(mode: str) -> None:
    found = read(lmcache={"l2": [{"type": "fs", "base_path": "/kv"}]})
    assert found.model_dump(mode=mode, exclude_unset=True)["restart"] == {"max_restarts": 1}
    assert found.model_dump(mode=mode)["restart"] == Restart(max_restarts=1).model_dump(mode=mode)
    assert found.model_dump(mode=mode, exclude_none=True)["lmcache"] == LMCache.model_validate_json(
        json.dumps({"l2": [{"type": "fs", "base_path": "/kv"}]})
    ).model_dump(mode=mode, exclude_none=True)
    assert Profile.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"restart": {"max_restarts": -1, "odd": 1}}, [("restart", "odd"), ("restart", "max_restarts")]),
        ({"restart": None}, [("restart",)]),
        ({"units": [{"name": "a", "argv": []}, {"argv": ["x"]}]}, [("units", 0, "argv"), ("units", 1, "name")]),
        (
            {"probes": {"worker": {"startup": {"period_seconds": "1"}}}},
            [("probes", "worker", "startup", "period_seconds")],
        ),
        ({"workers": {"decode": 1}, "logs": []}, [("workers", "decode"), ("logs",)]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_mistake_has_its_whole_place(keys: dict[str, object], places: list[tuple[str | int, ...]]) -> None:
    with pytest.raises(ValidationError) as raised:
        read(**keys)
    assert [error["loc"] for error in raised.value.errors()] == places
