"""Scripts that run in the stack's interpreter. They import nothing of dynkv."""
