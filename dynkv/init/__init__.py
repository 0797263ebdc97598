"""A profile for somebody who has none: from this host and a model, or from a launch script. Pure."""
