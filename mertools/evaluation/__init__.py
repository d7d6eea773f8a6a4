"""Scores of predictions against labels. Works on tables alone, without models or features."""
