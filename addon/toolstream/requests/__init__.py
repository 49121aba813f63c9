"""Repairs of requests."""
