"""The command line in a terminal, as a person sees it."""
