"""Policy: the life of each unit, the order of all, what is told and what is kept."""
