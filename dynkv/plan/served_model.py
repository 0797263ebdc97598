"""The model that is served: where an engine finds it, and what clients call it."""

from __future__ import annotations

from pathlib import PurePosixPath

from dynkv.plan.facts import HostFacts
from dynkv.plan.versions import at_least
from dynkv.profile.model import Profile

TINY = "tiny"
"""The model name that stands for the random model which dynkv makes itself."""


def tiny_model_path(home: str) -> str:
    return f"{home}/_models/{TINY}"


def model_path(profile: Profile, facts: HostFacts, home: str) -> str:
    """Where the engine finds the model: an absolute directory, or the id as it stands."""
    if profile.model.path == TINY:
        return tiny_model_path(home)
    return facts.model.path or profile.model.path


def served_name(profile: Profile, facts: HostFacts, home: str) -> str:
    """The name clients ask for: as given, else an id as it stands, or a directory's last part.

    Before ai-dynamo 1.4 the frontend looks for a local model's tokenizer under its name, so there the name
    has to be the path (measured with 1.3.1; 1.4.2 serves the tokenizer from the worker).
    """
    if profile.model.served_name:
        return profile.model.served_name
    if facts.model.is_local and not at_least(facts.packages, "ai-dynamo", 1, 4):
        return model_path(profile, facts, home)
    return PurePosixPath(facts.model.path).name or profile.model.path
