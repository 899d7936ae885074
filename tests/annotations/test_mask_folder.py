"""Mask files and the images they belong to."""

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.mask_folder import open_mask_folder, read_mask_files


def save(path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.eye(3, dtype=np.uint8) if pixels is None else pixels).save(path)


def test_mask_belongs_to_the_longest_matching_name(tmp_path):
    for name in ("a", "a_1", "ab", "x/a"):
        save(tmp_path / "images" / f"{name}.png")
    for name in ("a", "a_2", "a_1", "a_1_mask", "ab-1", "x/a 1", "lost", "abc"):
        save(tmp_path / "masks" / f"{name}.png")
    images = open_mask_folder(tmp_path)
    counts = {image.name: len(image.labels()) for image in images}
    assert counts == {"a.png": 2, "a_1.png": 2, "ab.png": 1, "x/a.png": 1}


def test_images_that_differ_in_the_suffix_share_their_masks(tmp_path):
    for name in ("images/a.png", "images/a.bmp", "masks/a.png"):
        save(tmp_path / name)
    assert [len(image.labels()) for image in open_mask_folder(tmp_path)] == [1, 1]


def test_image_without_masks_is_returned(tmp_path):
    for name in ("images/a.png", "images/b.png", "masks/a.png"):
        save(tmp_path / name)
    assert [len(image.labels()) for image in open_mask_folder(tmp_path)] == [1, 0]


def test_other_folders_have_no_images(tmp_path):
    assert open_mask_folder(tmp_path) == []
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "b.png")
    assert open_mask_folder(tmp_path) == []


def test_each_value_of_a_file_is_a_mask(tmp_path):
    values = np.array([[0, 7, 7], [65535, 0, 300]], np.uint16)
    save(tmp_path / "a.png", values)
    np.save(tmp_path / "b.npy", -values.astype(int))
    for name, sign in (("a.png", 1), ("b.npy", -1)):
        labels = read_mask_files([tmp_path / name], category="cell")
        masks = {label.mask().tobytes() for label in labels}
        assert masks == {(values == value).tobytes() for value in (7, 300, 65535)}
        assert {label.category for label in labels} == {"cell"}, sign


def test_bad_mask_file_raises_with_its_name(tmp_path):
    save(tmp_path / "a.png", np.array([[[255, 0, 0]]], np.uint8))
    with pytest.raises(ValueError, match=r"a.png is not a label map: .*got colors"):
        read_mask_files([tmp_path / "a.png"])
    with pytest.raises(FileNotFoundError):
        read_mask_files([tmp_path / "b.png"])
