"""Reads and mends the calls that the server parsed."""
