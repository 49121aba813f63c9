"""Recordings as tests: run again, compared, imported, made smaller."""
