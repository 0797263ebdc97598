"""A plan as text that other programs run."""
