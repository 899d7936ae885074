"""Sizes and names of each architecture's weights."""

__all__: list[str] = []
