"""Embeddings on disk, and the check that one fits a model."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.predict import ImageEmbedding
from keras_sam.predict.image_embedding import check_embedding
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
EMBEDDING = ImageEmbedding(
    arrays={
        "image_embeddings": RNG.normal(size=(1, 4, 4, 8)).astype(np.float32),
        "guide_pixels": RNG.integers(0, 256, (5, 8, 3), dtype=np.uint8),
    },
    original_size=(45, 80),
    image_size=(64, 64),
    fingerprint="abc",
    preprocessing=Preprocessing(resize="stretch", interpolation="bicubic"),
)


def save_with_metadata(path, **changes):
    """Write a file like that of `save`, with other metadata."""
    metadata = {"original_size": [45, 80], "image_size": [64, 64], "fingerprint": "abc"}
    metadata |= {"preprocessing": {}} | changes
    header = {"format": "keras_sam.ImageEmbedding", "metadata": json.dumps(metadata)}
    save_file(dict(EMBEDDING.arrays), path, metadata=header)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.safetensors"


def test_a_saved_embedding_is_loaded(path):
    EMBEDDING.save(path)
    loaded = ImageEmbedding.load(path)
    assert loaded.arrays.keys() == EMBEDDING.arrays.keys()
    for name, array in EMBEDDING.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype
    assert replace(loaded, arrays={}) == replace(EMBEDDING, arrays={})
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "preprocessing",
    [{"resize": "crop"}, {"resize": ["stretch"]}, {"scale": 1}, "medsam", [1], None, {"": {}}],
)
def test_unknown_preprocessing_raises(path, preprocessing):
    save_with_metadata(path, preprocessing=preprocessing)
    with pytest.raises(ValueError, match=r"damaged|resize must be one of"):
        ImageEmbedding.load(path)


@pytest.mark.parametrize(
    "sizes",
    [
        {"original_size": [10**9, 10**9]},
        {"original_size": [-1, 2]},
        {"original_size": [float("inf"), 2]},
        {"original_size": "ab"},
        {"image_size": [4]},
        {"image_size": None},
    ],
)
def test_impossible_size_raises(path, sizes):
    save_with_metadata(path, **sizes)
    with pytest.raises(ValueError, match="size of an image embedding must be"):
        ImageEmbedding.load(path)


def test_missing_damaged_and_other_files_raise(path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ImageEmbedding.load(path)
    EMBEDDING.save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="damaged"):
        ImageEmbedding.load(path)
    save_file(dict(EMBEDDING.arrays), path)
    with pytest.raises(ValueError, match="not an image embedding"):
        ImageEmbedding.load(path)


@pytest.mark.parametrize("metadata", ["[" * 100_000, "{", "[]", "{}", '{"original_size": [4, 4]}'])
def test_damaged_metadata_raises(path, metadata):
    header = {"format": "keras_sam.ImageEmbedding", "metadata": metadata}
    save_file(dict(EMBEDDING.arrays), path, metadata=header)
    with pytest.raises(ValueError, match="damaged"):
        ImageEmbedding.load(path)


@pytest.mark.parametrize(
    "array",
    [np.full((1, 4), np.nan, np.float32), np.full((1, 4), np.inf, np.float32), np.zeros(4)],
    ids=["NaN", "infinity", "float64"],
)
def test_wrong_array_raises(path, array):
    replace(EMBEDDING, arrays={"image_embeddings": array}).save(path)
    with pytest.raises(ValueError, match="must contain finite float32 values or uint8 pixels"):
        ImageEmbedding.load(path)


@pytest.fixture
def fitting(segmenter):
    """An embedding that fits `segmenter`."""
    return ImageEmbedding(
        arrays={"image_embeddings": np.zeros((1, 8, 8, 16), np.float32)},
        original_size=(45, 80),
        image_size=(64, 64),
        fingerprint=segmenter.encoder_fingerprint(),
    )


def test_fitting_embedding_gives_the_transform_of_its_image(segmenter, fitting):
    assert check_embedding(fitting, segmenter) == ImageTransform((45, 80), (64, 64))
    extra = dict(fitting.arrays) | {"guide_pixels": np.zeros((18, 32, 3), np.uint8)}
    check_embedding(replace(fitting, arrays=extra), segmenter)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrays": {}}, "this model needs {'image_embeddings': (1, 8, 8, 16)}"),
        ({"arrays": {"image_embeddings": np.zeros((1, 4, 4, 16))}}, "has the arrays"),
        ({"image_size": (32, 32)}, "of images (32, 32)"),
        ({"fingerprint": "abc"}, "another model's image encoder"),
        ({"preprocessing": Preprocessing(resize="stretch")}, "prepared with"),
    ],
)
def test_embedding_that_does_not_fit_raises(segmenter, fitting, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_embedding(replace(fitting, **changes), segmenter)
