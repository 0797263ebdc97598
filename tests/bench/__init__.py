"""Measures dynkv beside what people use instead: `make bench`. Nothing here is collected but test_quick.py."""
