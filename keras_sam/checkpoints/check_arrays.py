"""Checks that all weight files have in common: names, shapes and values of arrays."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from keras_sam.errors import CheckpointError

MAX_LISTED = 8
MAX_CANDIDATES = 1000  # names that are compared with a missing one, which is slow

Shape = tuple[int, ...]


def check_names(expected: Iterable[str], names: Iterable[str], *, source: str) -> None:
    """Check that exactly the expected names are present.

    Args:
        expected: Names that the model needs.
        names: Names in the file.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If names are missing or unexpected. The message lists both.
    """
    needed, present = set(expected), set(names)
    missing, unexpected = sorted(needed - present), sorted(present - needed)
    problems = []
    if missing:
        described = []
        for name in missing[:MAX_LISTED]:
            candidates = unexpected[:MAX_CANDIDATES]
            nearest = difflib.get_close_matches(name, candidates, n=1, cutoff=0.8)
            described.append(f"{name} (nearest: {nearest[0]})" if nearest else name)
        problems.append("missing " + _join(described, len(missing)))
    if unexpected:
        problems.append("unexpected " + _join(unexpected[:MAX_LISTED], len(unexpected)))
    if problems:
        raise CheckpointError(
            f"the weights of '{source}' do not match its config: {'; '.join(problems)}"
        )


def check_shapes(
    expected: Mapping[str, Shape], shapes: Mapping[str, Shape], *, source: str
) -> None:
    """Check that arrays have the expected shapes.

    Args:
        expected: Shapes that the model needs, by name.
        shapes: Shapes in the file, by name. Has every name of `expected`.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If a shape differs. The message lists the arrays.
    """
    wrong = [
        f"{name} has shape {shapes[name]}, expected {shape}"
        for name, shape in expected.items()
        if shapes[name] != shape
    ]
    if wrong:
        raise CheckpointError(
            f"the weights of '{source}' do not match its config: "
            + _join(wrong[:MAX_LISTED], len(wrong))
        )


def check_finite(array: np.ndarray, name: str, *, source: str) -> np.ndarray:
    """Return an array unchanged after checking that it has no NaN and no infinity.

    Raises:
        CheckpointError: If a value is not finite.
    """
    # NumPy has no isfinite for bfloat16.
    values = array.astype("float32") if array.dtype.itemsize == 2 else array
    if not np.isfinite(values).all():
        raise CheckpointError(f"{name} of '{source}' contains NaN or infinity")
    return array


def _join(names: Sequence[str], count: int) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(name[:200] for name in names) + more
