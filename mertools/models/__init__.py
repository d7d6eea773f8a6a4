"""The models that can be trained, in one registry."""
