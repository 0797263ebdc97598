"""The JSON Schema for editors, and the shipped profiles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dynkv.profile.load import load, shipped
from dynkv.profile.model import Profile

FOLDER = Path(__file__).parents[2] / "profiles"
DOCS = FOLDER.parent / "docs"


def test_the_shipped_schema_is_what_the_models_say() -> None:
    command = [sys.executable, str(DOCS / "schema.py")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (FOLDER / "schema.json").read_text() == made, "make schema"


def test_the_schema_is_printed() -> None:
    command = [sys.executable, "-m", "dynkv", "profiles", "schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (FOLDER / "schema.json").read_text() == printed


def test_the_schema_knows_every_key() -> None:
    schema = json.loads((FOLDER / "schema.json").read_text())
    assert schema["properties"].keys() == {*Profile.model_fields, "extends"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_profile_is_valid_and_says_what_it_is(name: str) -> None:
    loaded = load(name)
    assert loaded.name == name
    assert loaded.profile.description
    assert Profile.model_validate_json(loaded.profile.model_dump_json()) == loaded.profile


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_profile_names_the_schema(name: str) -> None:
    text = shipped()[name].read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    written = YAML(typ="safe", pure=True).load(text)
    assert written.keys() <= {*Profile.model_fields, "extends"}
