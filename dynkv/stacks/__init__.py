"""Stacks that `dynkv stack install` brings: the packages that serve, in environments of their own."""
