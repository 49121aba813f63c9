"""Recordings as tests: rerun, compare, import, shrink."""
