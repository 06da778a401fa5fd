"""Data sets: found or downloaded, split, and read from files of one's own."""
