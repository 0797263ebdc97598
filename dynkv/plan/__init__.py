"""The step from a profile and facts about the host to units. Pure."""
