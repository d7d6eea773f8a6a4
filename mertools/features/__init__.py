"""What is computed from sound: one function for each kind of feature, and the loop over files."""
