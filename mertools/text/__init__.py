"""Words of songs: reading lyrics.csv and the text files that it names."""
