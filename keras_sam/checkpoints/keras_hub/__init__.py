"""Presets in the format of keras-hub."""

__all__: list[str] = []
