"""Repairs of requests.

A module for each repair:

    earlier calls          history
"""
