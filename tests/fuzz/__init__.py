"""Mutated files and killed runs: `python -m tests.fuzz --n 10000 --seed 1 --kills 100`."""
