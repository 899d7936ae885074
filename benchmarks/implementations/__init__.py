"""The implementations that are compared, each as an `Implementation`."""

from benchmarks.implementations.implementation import (
    GeneratorOptions,
    Implementation,
    ModelFiles,
    Settings,
    UnsupportedError,
)
from benchmarks.implementations.registry import (
    IMPLEMENTATIONS,
    Entry,
    create_implementation,
    find_checkout_file,
    find_entry,
)

__all__ = [
    "IMPLEMENTATIONS",
    "Entry",
    "GeneratorOptions",
    "Implementation",
    "ModelFiles",
    "Settings",
    "UnsupportedError",
    "create_implementation",
    "find_checkout_file",
    "find_entry",
]
