"""The command line: verbs, options, and everything that is shown."""
