"""Recordings served over HTTP, like a model server."""
