"""Predictions shown to a person: figures and pages."""
