"""What others published: corpora, tables of vectors, and tables of songs to match with tracks."""
