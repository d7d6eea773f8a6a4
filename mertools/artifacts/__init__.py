"""Files that pass between commands: their schemas, and reading and writing them whole or not at all."""
