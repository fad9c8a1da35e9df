"""The pantry in one SQLite file, shared by all processes on a machine."""
