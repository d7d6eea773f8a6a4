"""What is predicted: scales of targets, the valence-arousal plane, and pooling of segments."""
