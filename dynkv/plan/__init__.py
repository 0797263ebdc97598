"""From profile and host facts to units. Pure."""
