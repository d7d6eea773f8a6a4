"""Judging predictions against labels. Tables only: no model and no feature is known here."""
