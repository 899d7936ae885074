"""Formats of exported files, each with its own runtime."""

__all__: list[str] = []
