"""Policy: the life of each unit, their order, and what is reported and recorded."""
