"""Exceptions of the package.

Wrong arguments raise plain `ValueError` and `TypeError`. Everything else that the package raises
on purpose derives from `KerasSAMError`, and from the built-in exception that it also is.
"""


class KerasSAMError(Exception):
    """Base class of the package's own exceptions."""


class CheckpointError(KerasSAMError, ValueError):
    """A checkpoint that cannot be read or written. The message is one sentence for the user."""


class ImageError(KerasSAMError, ValueError):
    """An image that cannot be read."""


class TooManyPixelsError(ImageError):
    """An image that is larger than allowed."""


class RotatedImageError(ImageError):
    """An image that needs the rotation in its metadata, which raster readers ignore."""


class WorkerDiedError(KerasSAMError, RuntimeError):
    """A worker process ended unexpectedly."""
