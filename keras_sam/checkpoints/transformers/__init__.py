"""Model directories in the layout of transformers; other formats have their own folders."""

__all__: list[str] = []
