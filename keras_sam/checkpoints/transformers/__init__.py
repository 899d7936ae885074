"""Directories of transformers."""

__all__: list[str] = []
