"""Features joined with labels: what is learnt from, and its folds."""
