"""Joining features with labels by key, searching for parameters and fitting models."""
