"""The JSON Schema of profiles, from the models and the text below each field: `make schema` writes it."""

from __future__ import annotations

import json

from dynkv.profile.fields import Section


def rendered() -> str:
    """The schema as it is shipped; only in a process that has not imported the models yet.

    pydantic collects a field's text when its class is made, from the source: too slow for every command.
    """
    Section.model_config["use_attribute_docstrings"] = True
    from dynkv.profile import l2  # noqa: F401 (a profile imports it only if it has an adapter)
    from dynkv.profile.model import Profile

    for section in _all(Section):
        section.model_rebuild()  # for the default values
    made = Profile.model_json_schema()
    made["properties"]["extends"] = {"type": "string", "description": "A shipped profile or a file to begin with."}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dynkv profile", **made}
    return json.dumps(whole, indent=2) + "\n"


def _all(section: type[Section]) -> list[type[Section]]:
    return [it for further in section.__subclasses__() for it in (further, *_all(further))]


if __name__ == "__main__":
    print(rendered(), end="")
