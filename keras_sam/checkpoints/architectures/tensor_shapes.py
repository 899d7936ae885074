"""`TensorShapes`: the shapes from which a config is derived, with errors that name the source."""

import re
from collections.abc import Mapping

from keras_sam.checkpoints.architectures.argument import MAX_SIZE
from keras_sam.errors import CheckpointError

Shape = tuple[int, ...]


class TensorShapes:
    """Shapes of the tensors of a checkpoint that has no config.

    Args:
        shapes: Shape of each tensor by name.
        source: Name of the preset, for error messages.
    """

    def __init__(self, shapes: Mapping[str, Shape], source: str) -> None:
        self._shapes = shapes
        self.source = source

    def __contains__(self, tensor: str) -> bool:
        return tensor in self._shapes

    def axes(self, tensor: str, count: int) -> Shape:
        """Return the shape of a tensor.

        Args:
            tensor: Name of the tensor.
            count: Number of axes that it must have.

        Raises:
            CheckpointError: If the tensor is missing or has another number of axes.
        """
        shape = self._shapes.get(tensor)
        if shape is None or len(shape) != count or not all(0 < n <= MAX_SIZE for n in shape):
            found = "is missing" if shape is None else f"has the shape {shape}"
            raise CheckpointError(
                f"'{self.source}' is not a SAM model: the tensor {tensor} {found}; expected "
                f"{count} axes"
            )
        return shape

    def count(self, pattern: str) -> int:
        """Return the number of tensors whose name matches a pattern."""
        return sum(re.fullmatch(pattern, tensor) is not None for tensor in self._shapes)
