"""A first profile: from this host and a model, or from a launch script. Pure."""
