"""`export_mode`: layers use only operations that every export format has."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_IS_EXPORTING = ContextVar("is_exporting", default=False)


@contextmanager
def export_mode() -> Iterator[None]:
    """Trace layers for another runtime within the context.

    Layers then avoid kernels that are faster on the backend itself but that exporters cannot
    convert: loops over blocks, writes into buffers, and transpositions of more than six axes.
    Results stay the same up to rounding.
    """
    token = _IS_EXPORTING.set(True)
    try:
        yield
    finally:
        _IS_EXPORTING.reset(token)


def is_exporting() -> bool:
    """Return True within `export_mode`."""
    return _IS_EXPORTING.get()
