import pytest

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.architectures.tensor_shapes import TensorShapes

SHAPES = TensorShapes({"blocks.0.w": (2, 3), "blocks.1.w": (2, 3), "huge": (2**17,)}, "x")


def test_shapes_and_counts():
    assert SHAPES.axes("blocks.0.w", 2) == (2, 3)
    assert SHAPES.count(r"blocks\.\d+\.w") == 2
    assert "blocks.0.w" in SHAPES
    assert "blocks.2.w" not in SHAPES


@pytest.mark.parametrize(
    ("tensor", "count", "match"),
    [
        ("blocks.2.w", 2, "'x' is not a SAM model: the tensor blocks.2.w is missing; expected 2"),
        ("blocks.0.w", 4, r"has the shape \(2, 3\); expected 4 axes"),
        ("huge", 1, r"has the shape \(131072,\)"),
    ],
)
def test_missing_and_misshapen_tensors_raise(tensor, count, match):
    with pytest.raises(CheckpointError, match=match):
        SHAPES.axes(tensor, count)
