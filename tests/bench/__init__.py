"""Measures dynkv against the programs that people use instead: `make bench`. pytest collects only test_quick.py."""
