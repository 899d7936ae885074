"""Embeddings on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.predict.image_embedding import ImageEmbedding
from keras_sam.transforms.preprocessing import MEDSAM, SAM

EMBEDDING = ImageEmbedding(
    embedding=np.random.default_rng(0).normal(size=(1, 4, 4, 8)).astype("float32"),
    original_size=(45, 80),
    input_size=(36, 64),
    image_size=(64, 64),
    fingerprint="abc",
)


def save_with_facts(path, facts):
    """A file as the first versions wrote it, but for some facts."""
    good = {"original_size": [45, 80], "input_size": [36, 64], "image_size": [64, 64]}
    metadata = {
        "format": "keras_sam.ImageEmbedding",
        "facts": json.dumps(good | {"fingerprint": "abc"} | facts),
    }
    save_file({"embedding": EMBEDDING.embedding}, path, metadata=metadata)


def test_what_is_saved_is_loaded(tmp_path):
    EMBEDDING.save(tmp_path / "a.safetensors")
    loaded = ImageEmbedding.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.embedding, EMBEDDING.embedding)
    for name in ("original_size", "input_size", "image_size", "fingerprint"):
        assert getattr(loaded, name) == getattr(EMBEDDING, name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_preprocessing_is_kept(tmp_path):
    replace(EMBEDDING, preprocessing=MEDSAM).save(tmp_path / "a.safetensors")
    assert ImageEmbedding.load(tmp_path / "a.safetensors").preprocessing == MEDSAM


def test_older_files_are_of_sams_preprocessing(tmp_path):
    save_with_facts(tmp_path / "a.safetensors", {})
    assert ImageEmbedding.load(tmp_path / "a.safetensors").preprocessing == SAM


@pytest.mark.parametrize(
    "preprocessing",
    [{"resize": "crop"}, {"resize": ["stretch"]}, {"scale": 1}, "medsam", [1], None, {"": {}}],
)
def test_unknown_preprocessing_is_refused(tmp_path, preprocessing):
    save_with_facts(tmp_path / "a.safetensors", {"preprocessing": preprocessing})
    with pytest.raises(ValueError, match=r"damaged|resize must be one of"):
        ImageEmbedding.load(tmp_path / "a.safetensors")


def test_missing_damaged_and_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        ImageEmbedding.load(tmp_path / "none.safetensors")
    path = tmp_path / "a.safetensors"
    EMBEDDING.save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="damaged"):
        ImageEmbedding.load(path)
    save_file({"embedding": EMBEDDING.embedding}, path)
    with pytest.raises(ValueError, match="not an image embedding"):
        ImageEmbedding.load(path)


@pytest.mark.parametrize(
    "facts",
    [
        {"original_size": [10**9, 10**9]},
        {"original_size": [-1, 2]},
        {"original_size": [float("inf"), 2]},
        {"input_size": "ab"},
        {"image_size": [4]},
        {"image_size": None},
    ],
)
def test_sizes_that_no_image_has_are_refused(tmp_path, facts):
    path = tmp_path / "a.safetensors"
    save_with_facts(path, facts)
    with pytest.raises(ValueError, match="size of an image embedding"):
        ImageEmbedding.load(path)


def test_facts_nested_too_deep_are_damage(tmp_path):
    path = tmp_path / "a.safetensors"
    metadata = {"format": "keras_sam.ImageEmbedding", "facts": "[" * 100_000}
    save_file({"embedding": EMBEDDING.embedding}, path, metadata=metadata)
    with pytest.raises(ValueError, match="damaged"):
        ImageEmbedding.load(path)


def test_embedding_that_is_not_finite_is_refused(tmp_path):
    bad = ImageEmbedding(np.full((1, 4, 4, 8), np.nan, "float32"), (4, 4), (4, 4), (4, 4), "abc")
    bad.save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="finite"):
        ImageEmbedding.load(tmp_path / "a.safetensors")


def test_pixels_that_guide_outlines_are_kept(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    guided = replace(EMBEDDING, preprocessing=replace(SAM, outlines="image"), outline_pixels=pixels)
    guided.save(tmp_path / "a.safetensors")
    loaded = ImageEmbedding.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.outline_pixels, pixels)
    assert loaded.guide.original_size == (45, 80)
    assert EMBEDDING.guide is None


@pytest.mark.parametrize("outlines", ["model", "image"])
def test_pixels_where_none_are_wanted_and_the_other_way_round_are_refused(tmp_path, outlines):
    pixels = np.zeros((5, 8, 3), np.uint8) if outlines == "model" else None
    preprocessing = replace(SAM, outlines=outlines)
    replace(EMBEDDING, preprocessing=preprocessing, outline_pixels=pixels).save(tmp_path / "a.st")
    with pytest.raises(ValueError, match="pixels where they guide outlines"):
        ImageEmbedding.load(tmp_path / "a.st")
