"""The served model: where an engine finds it, and its names for clients."""

from __future__ import annotations

from pathlib import PurePosixPath

from dynkv.plan.facts import HostFacts
from dynkv.plan.hub import user_cache
from dynkv.plan.versions import at_least
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile
from dynkv.profile.names import unsplit

TINY = "tiny"
"""The model path that stands for the random model that dynkv makes itself."""


def tiny_model_path(profile: Profile, facts: HostFacts, home: str) -> str:
    """In dynkv's home; for a cluster in the user's cache, since nodes with homes of their own need the same path."""
    cache = user_cache(facts.environ) if profile.cluster.is_set else None
    return f"{home}/_models/{TINY}" if cache is None else f"{cache}/dynkv/{TINY}"


def model_path(profile: Profile, facts: HostFacts, home: str) -> str:
    """Where the engine finds the model: an absolute directory, or the id as it is."""
    if profile.model.path == TINY:
        return tiny_model_path(profile, facts, home)
    return facts.model.path or profile.model.path


def served_names(profile: Profile, facts: HostFacts, home: str) -> tuple[str, ...]:
    """The model's names for clients, the main one first: as given, else the id, or a directory's last part.

    Before ai-dynamo 1.4 the frontend looks for a local model's tokenizer under its name, so there the name has to be
    the path (measured with 1.3.1; 1.4.2 serves the tokenizer from the worker). The mocker has no aliases (1.6.1).
    """
    if profile.model.names:
        return profile.model.names if ENGINES[profile.engine].has_aliases else profile.model.names[:1]
    if facts.model.is_local and not at_least(facts.packages, "ai-dynamo", 1, 4):
        return (model_path(profile, facts, home),)
    last = PurePosixPath(facts.model.path).name
    return (unsplit(last) or profile.model.path,)


def naming_notes(profile: Profile, facts: HostFacts, home: str) -> tuple[str, ...]:
    """Surprises about the names, in words."""
    engine = ENGINES[profile.engine]
    if not engine.has_aliases and (aliases := profile.model.names[1:]):
        return (f"{engine.called} supports only one name, so {' and '.join(aliases)} will not work",)
    name, last = served_names(profile, facts, home)[0], PurePosixPath(facts.model.path).name
    if profile.model.names or not last or name in (last, model_path(profile, facts, home)):
        return ()
    return (f"the model's name is {name}: the workers would take {last!r} for several names, or for an option",)
