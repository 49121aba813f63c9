"""Chats on disk, without secrets."""
