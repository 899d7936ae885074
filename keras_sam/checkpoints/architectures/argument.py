"""`Argument`: the check and the default of a constructor argument in a config."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Limits far above any model, and far below what would exhaust memory.
MAX_SIZE = 2**16
MAX_LAYERS = 512
REQUIRED = object()


@dataclass(frozen=True)
class Argument:
    """A constructor argument that a config may contain.

    Attributes:
        is_valid: Function from a value to True if it is valid.
        default: Value of the Keras class if the argument is missing, or `REQUIRED`.
    """

    is_valid: Callable[[Any], bool]
    default: Any = REQUIRED


def integer(low: int, high: int) -> Callable[[Any], bool]:
    """Return a check for an integer in [low, high]."""
    return lambda value: type(value) is int and low <= value <= high


def integers(count: int, high: int = MAX_SIZE) -> Callable[[Any], bool]:
    """Return a check for a list of `count` integers in [1, high]."""
    is_valid = integer(1, high)
    return lambda value: (
        isinstance(value, list | tuple) and len(value) == count and all(map(is_valid, value))
    )


SIZE = integer(1, MAX_SIZE)
LAYERS = integer(1, MAX_LAYERS)
SIZE_OR_ZERO = integer(0, MAX_SIZE)


def is_index_list(value: Any) -> bool:
    """Return True for a list of layer indices."""
    return (
        isinstance(value, list | tuple)
        and len(value) <= MAX_LAYERS
        and all(map(SIZE_OR_ZERO, value))
    )


def is_bool(value: Any) -> bool:
    """Return True for a truth value."""
    return isinstance(value, bool)


def is_epsilon(value: Any) -> bool:
    """Return True for a number in [0, 1)."""
    return type(value) in (int, float) and 0 <= value < 1


def is_activation(value: Any) -> bool:
    """Return True for the name of an activation."""
    return isinstance(value, str) and value.isidentifier()
