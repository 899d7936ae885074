"""`validate_fields`: what a file or a caller tells of a model, by a list of what may be told."""

from collections.abc import Collection, Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import truncate


def validate_fields(
    value: Any, known: Collection[str], *, what: str, expected: str
) -> Mapping[str, Any]:
    """The fields that are given; none for `None`.

    Args:
        value: a dictionary or `None`.
        known: names of fields.
        what: what the fields are, and of what, for messages.
        expected: what may be given, for messages.

    Raises:
        CheckpointError: for something else, or another field.
    """
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise CheckpointError(f"{what}: {truncate(value)}; expected {expected}")
    if unknown := sorted(map(str, set(given) - set(known))):
        raise CheckpointError(
            f"{what}: unknown fields {truncate(unknown)}; known are {', '.join(known)}"
        )
    return given
