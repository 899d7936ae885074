"""Fixtures that the tests of prediction share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_sam
from keras_sam.engines.create_engine import create_engine
from keras_sam.engines.engine import Engine
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict import SAMPredictor

PHOTO = Path(keras_sam.__file__).parent / "assets" / "coffee.jpg"


@pytest.fixture(scope="session")
def engine(segmenter: SAMImageSegmenter) -> Engine:
    """Engine of `segmenter`. It is shared, so each program is compiled once."""
    return create_engine(segmenter)


@pytest.fixture
def predictor(segmenter: SAMImageSegmenter, engine: Engine, image: np.ndarray) -> SAMPredictor:
    """Predictor of `segmenter` with `image`."""
    predictor = SAMPredictor(segmenter, engine=engine)
    predictor.set_image(image)
    return predictor


@pytest.fixture(scope="session")
def trained() -> SAMImageSegmenter:
    """The shipped preset for images of 64 x 64 pixels. Masks of random weights are all alike."""
    return SAMImageSegmenter.from_preset("sam_tiny_synthetic", image_shape=(64, 64, 3))


@pytest.fixture(scope="session")
def trained_engine(trained: SAMImageSegmenter) -> Engine:
    """Engine of `trained`. It is shared, so each program is compiled once."""
    return create_engine(trained)


@pytest.fixture
def trained_predictor(trained: SAMImageSegmenter, trained_engine: Engine) -> SAMPredictor:
    """Predictor of `trained` without mask refinement, and without an image."""
    return SAMPredictor(trained, mask_refiner=None, engine=trained_engine)


@pytest.fixture(scope="session")
def load_photo() -> Callable[[tuple[int, int]], np.ndarray]:
    """The function from `(width, height)` to a photograph of that size."""
    with Image.open(PHOTO) as file:
        photo = file.convert("RGB")
    return lambda size: np.asarray(photo.resize(size))


@pytest.fixture(scope="session")
def photo(load_photo: Callable[[tuple[int, int]], np.ndarray]) -> np.ndarray:
    """A small photograph."""
    return load_photo((100, 70))
