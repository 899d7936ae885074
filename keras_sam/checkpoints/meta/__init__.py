"""Files with Meta's tensor names."""

__all__: list[str] = []
