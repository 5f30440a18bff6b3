"""Numbered documents that are never lost, and who is at work on what: SQLite or any database."""
