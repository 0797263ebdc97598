"""A plan as text that others run."""
