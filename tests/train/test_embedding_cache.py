"""Cached embeddings: their content, their views, and batches of them."""

import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask
from keras_sam.train.embedding_cache import CachedBatches, cache_embeddings, load_embedding

SIZES = ((45, 80), (64, 64), (30, 20))


def masks_of(size, count):
    masks = np.zeros((count, *size), bool)
    for index, mask in enumerate(masks):
        mask[index : size[0] // 2, 2 * index : size[1] // 2] = True
    return masks


@pytest.fixture
def dataset(tmp_path):
    images = []
    for index, size in enumerate(SIZES):
        path = tmp_path / f"{index}.png"
        pixels = np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        labels = [LabeledMask("object", lambda mask=mask: mask) for mask in masks_of(size, index)]
        images.append(LabeledImage(path.name, path, lambda labels=labels: labels))
    return LabeledDataset(tuple(images), "test", tmp_path)


@pytest.fixture
def model(segmenter):
    return type(segmenter).from_backbone(segmenter.backbone)


def mirror(image, masks):
    return np.ascontiguousarray(image[:, ::-1]), masks[:, :, ::-1]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.masks, expected.masks)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_a_file_has_the_embedding_and_the_prepared_masks(model, dataset, tmp_path):
    files = cache_embeddings(model, dataset, tmp_path / "cache")
    assert [len(views) for views in files] == [1, 1, 1]
    for index, (image, views) in enumerate(zip(dataset.images, files, strict=True)):
        sample = load_embedding(views[0])
        x, y = model.preprocessor({"images": image.image()}, {"masks": image.masks()})
        expected = model.encode_image(x["images"])["image_embeddings"]
        expected = ops.convert_to_numpy(expected)[0]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(sample.arrays["image_embeddings"], expected, atol=2**-10 * scale)
        np.testing.assert_array_equal(sample.masks, y["masks"][0, :index])
        np.testing.assert_allclose(sample.boxes, y["boxes"][0, :index])


def test_other_views_are_augmented_and_repeatable(model, dataset, tmp_path):
    files, again = (
        cache_embeddings(model, dataset, tmp_path / name, views=2, augment=mirror)
        for name in ("a", "b")
    )
    plain, mirrored = (load_embedding(path) for path in files[1])  # not resized
    assert np.abs(plain.arrays["image_embeddings"] - mirrored.arrays["image_embeddings"]).max() > 0
    np.testing.assert_array_equal(plain.masks, mirrored.masks[..., ::-1])
    for views, others in zip(files, again, strict=True):
        for path, other in zip(views, others, strict=True):
            assert_same(load_embedding(path), load_embedding(other))
    with pytest.raises(ValueError, match="more with augment"):
        cache_embeddings(model, dataset, tmp_path, views=2)


def test_a_stopped_call_resumes(model, dataset, tmp_path):
    files = cache_embeddings(model, dataset, tmp_path / "cache")
    kept, lost = files[0][0], files[1][0]
    content, time = load_embedding(lost), kept.stat().st_mtime_ns
    lost.unlink()
    calls = []
    found = cache_embeddings(
        model, dataset, tmp_path / "cache", progress=lambda *counts: calls.append(counts)
    )
    assert found == files
    assert_same(load_embedding(lost), content)
    assert kept.stat().st_mtime_ns == time
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_files_of_another_encoder_are_not_used(model, dataset, tmp_path, tiny_segmenter):
    other = tiny_segmenter(1)
    files, others = (
        cache_embeddings(one, dataset, tmp_path / "cache")
        for one in (model, type(other).from_backbone(other.backbone))
    )
    assert not {path for views in files for path in views} & {path for v in others for path in v}


def test_batches_have_one_shape_and_depend_only_on_seed_epoch_and_index(model, dataset, tmp_path):
    files = cache_embeddings(model, dataset, tmp_path / "cache", views=2, augment=mirror)
    batches, again = (
        CachedBatches(files, batch_size=2, masks_per_image=2, seed=3) for _ in range(2)
    )
    assert len(batches) == 2
    first = [batches[index] for index in range(2)]
    batches.set_epoch(1)
    second = [batches[index] for index in range(2)]
    again.set_epoch(1)
    for index in (1, 0):
        for part, other in zip(second[index], again[index], strict=True):
            for name in part:
                np.testing.assert_array_equal(part[name], other[name])
    for x, y in first + second:
        assert y["masks"].shape[1:] == (2, 64, 64)
        assert y["boxes"].shape[1:] == (2, 2, 2)
        assert len(x["image_embeddings"]) == len(y["masks"])
    seen = [batch[0]["image_embeddings"].mean((1, 2, 3)) for batch in first]
    other = [batch[0]["image_embeddings"].mean((1, 2, 3)) for batch in second]
    assert sorted(np.concatenate(seen)) != sorted(np.concatenate(other))  # another view


def test_damaged_files_and_no_files_raise(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"x\.safetensors"):
        load_embedding(path)
    with pytest.raises(ValueError, match="at least one image"):
        CachedBatches([])
