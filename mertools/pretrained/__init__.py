"""Networks of others, run with their published weights."""
