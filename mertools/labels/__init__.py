"""From annotators' ratings to labels: statistics, classes and splits."""
