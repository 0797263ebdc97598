"""The profile that a person writes, read and validated."""
