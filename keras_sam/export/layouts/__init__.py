"""Layouts: the names, shapes and dtypes that other programs expect."""

__all__: list[str] = []
