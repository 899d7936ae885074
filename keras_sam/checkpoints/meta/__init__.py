"""Single files with Meta's tensor names; other formats have their own folders."""

__all__: list[str] = []
