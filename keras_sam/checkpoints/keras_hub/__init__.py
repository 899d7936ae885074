"""Preset directories in the layout of keras-hub; other formats have their own folders."""

__all__: list[str] = []
