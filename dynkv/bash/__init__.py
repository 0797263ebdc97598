"""A bash script, read without running it: which programs it would start, with which arguments and environment."""
