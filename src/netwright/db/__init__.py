"""Toolkit for durable state: the committer and the SQLite engine. No schema of anybody's."""
