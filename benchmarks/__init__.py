"""Measurements of the whole and of its parts; each file says what it measures and prints a table."""
