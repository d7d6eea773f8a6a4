"""A model joined with features or audio: posteriors for segments and tracks."""
