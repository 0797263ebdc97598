"""What a person writes, read and validated."""
