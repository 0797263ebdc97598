"""Stacks of `dynkv stack install`: the packages that serve, each in its own environment."""
