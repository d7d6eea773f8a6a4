"""Files that pass between commands: their schemas, and reading and writing them."""
