"""How fast mer is beside what one would run instead (docs/speed.md)."""
