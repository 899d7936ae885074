"""Procedural scenes with exact masks. NumPy and Pillow only."""
