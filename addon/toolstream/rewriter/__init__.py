"""Bytes to bytes: rewrites answers, streamed or whole."""
