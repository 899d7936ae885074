"""What all tests share: which of them a backend runs, and a fixed seed."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

BACKEND = os.environ.get("KERAS_BACKEND", "")
TESTS = Path(__file__).parent
# OpenVINO only infers: it has no gradients, so these folders have nothing to run there.
TRAINING_FOLDERS = (TESTS / "losses", TESTS / "train", TESTS.parent / "recipes")


def pytest_report_header() -> str:
    return f"keras backend: {BACKEND or 'the default of Keras'}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves the folders about training out under OpenVINO."""
    return True if BACKEND == "openvino" and collection_path in TRAINING_FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves tests marked `training` out under OpenVINO, and those of other backends."""
    foreign = {"jax", "openvino", "tensorflow", "torch"} - {BACKEND}
    if BACKEND == "openvino":
        foreign.add("training")
    deselected = [item for item in items if any(map(item.get_closest_marker, foreign))]
    if not deselected:
        return
    items[:] = [item for item in items if item not in deselected]
    config.hook.pytest_deselected(items=deselected)


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Makes initial weights and samples the same in each run.

    What `keras.utils.set_random_seed` does, without importing TensorFlow on other backends.
    """
    random.seed(0)
    np.random.seed(0)
    if BACKEND == "torch" and "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if BACKEND == "tensorflow" and "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)


@pytest.fixture(scope="session")
def tiny_segmenter():
    """The function from a seed to a segmenter of 64 x 64 pixels whose every weight is random."""
    from tests.tiny_model import build_segmenter

    return build_segmenter


@pytest.fixture(scope="session")
def segmenter(tiny_segmenter):
    return tiny_segmenter(0)


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (45, 80, 3), dtype=np.uint8)
