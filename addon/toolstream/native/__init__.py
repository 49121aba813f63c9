"""Calls that the server parsed itself, and mending them."""
