"""What builds mertools, and is not part of it: the weights of networks of others."""
