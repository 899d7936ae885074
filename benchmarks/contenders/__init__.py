"""The implementations that are compared, each as a `Contender`."""

from benchmarks.contenders.checkout import contender_file, load_contender
from benchmarks.contenders.contender import (
    Contender,
    Everything,
    ModelFiles,
    Setting,
    UnsupportedError,
)
from benchmarks.contenders.known import CONTENDERS, OURS, Entry, create_contender, entry_for

__all__ = [
    "CONTENDERS",
    "OURS",
    "Contender",
    "Entry",
    "Everything",
    "ModelFiles",
    "Setting",
    "UnsupportedError",
    "contender_file",
    "create_contender",
    "entry_for",
    "load_contender",
]
