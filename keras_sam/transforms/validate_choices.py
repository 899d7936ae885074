"""`validate_choices`: check the options of a dataclass against a table."""

from collections.abc import Mapping
from typing import Any


def validate_choices(options: Any, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Check that each named attribute has one of its allowed values.

    Args:
        options: Object with the attributes.
        choices: Allowed values by attribute name.

    Raises:
        ValueError: If a value is not allowed. The message names the attribute and the choices.
    """
    for name, allowed in choices.items():
        value = getattr(options, name)
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
