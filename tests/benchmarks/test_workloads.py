import numpy as np
import pytest

from benchmarks.implementations import GeneratorOptions
from benchmarks.workloads import WORKLOADS, create_task, random_points, square_images


class RecordingImplementation:
    """Records calls and returns small results."""

    def __init__(self):
        self.calls = []

    def images_to_inputs(self, images):
        self.calls.append(("images_to_inputs", images.shape))
        return images

    def encode(self, inputs):
        self.calls.append(("encode", inputs.shape))
        return inputs[:, :1, :1]

    def embedding_to_numpy(self, embedding):
        return embedding.astype(np.float32)

    def set_image(self, image):
        self.calls.append(("set_image", image.shape))

    def predict(self, points, labels):
        self.calls.append(("predict", points.shape))
        return np.zeros((len(points), 3, 4, 4)), np.zeros((len(points), 3))

    def generate_masks(self, image, options):
        self.calls.append(("generate_masks", image.shape))
        return [(np.ones((4, 4), bool), 0.9)] * 2


def run(workload, options=None):
    """Return the calls before the timed run, those in it, and the arrays of the result."""
    implementation = RecordingImplementation()
    task = create_task(WORKLOADS[workload], implementation, 64, options)
    before = list(implementation.calls)
    arrays = task.to_arrays(task.run())
    return before, implementation.calls[len(before) :], arrays


def test_encoder_inputs_are_prepared_before_the_timed_run():
    before, timed, arrays = run("encoder-4")
    assert before == [("images_to_inputs", (4, 64, 64, 3))]
    assert timed == [("encode", (4, 64, 64, 3))]
    assert arrays["embedding"].shape == (4, 1, 1, 3)


def test_image_is_encoded_before_the_timed_prediction():
    before, timed, arrays = run("points-64")
    assert before == [("set_image", (64, 64, 3))]
    assert timed == [("predict", (64, 1, 2))]
    assert set(arrays) == {"low_res_logits", "iou_predictions"}


def test_startup_includes_encoding():
    before, timed, _ = run("startup")
    assert before == []
    assert [name for name, _ in timed] == ["set_image", "predict"]


def test_masks_are_generated_for_an_enlarged_photograph():
    options = GeneratorOptions(4, 0.5, 0.5)
    _, timed, arrays = run("automatic-large", options)
    assert timed == [("generate_masks", (1600, 2400, 3))]
    assert arrays["masks"].shape == (2, 2)  # 16 pixels are two bytes


def test_generation_without_options_raises():
    with pytest.raises(ValueError, match="needs options"):
        run("automatic")


def test_square_images_are_mirrored():
    first, second = square_images(2, 48)
    assert first.shape == (48, 48, 3)
    np.testing.assert_array_equal(second, first[:, ::-1])
    assert not np.array_equal(first, second)


def test_points_lie_within_the_photograph():
    points, labels = random_points(100, 60)  # 600 x 400 pixels become 60 x 40
    assert (points >= 0).all()
    assert (points <= (59, 39)).all()
    assert labels.shape == (100, 1)
