"""Models applied to features or sound, and the emotions that follow from their predictions."""
