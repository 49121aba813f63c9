"""Bytes to bytes: answers rewritten, streamed or whole."""
