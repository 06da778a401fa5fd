"""The workflow: its settings, its files, and what its stages load."""
