"""The pairs, a module for each group of stages; registered in `benchmarks.registry`."""
