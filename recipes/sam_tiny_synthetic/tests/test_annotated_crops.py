"""Scenes cut from labeled images."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.split_validation import split_validation
from recipes.sam_tiny_synthetic import annotated_crops
from recipes.sam_tiny_synthetic.annotated_crops import build_annotated_crops, cut_scene
from recipes.sam_tiny_synthetic.scenes import MAX_MASKS

SIZE = (24, 32)  # of an image


@pytest.fixture
def folder(tmp_path):
    """Three images of one gray each, with 40 bright bars of 2 x 7 pixels that fill the rows."""
    (tmp_path / "images").mkdir()
    images, notes = [], []
    for number in range(3):
        pixels = np.full((*SIZE, 3), 50 * number, np.uint8)
        for index in range(40):
            mask = np.zeros(SIZE, np.uint8)
            row, column = index // 4 * 2, index % 4 * 8
            mask[row : row + 2, column : column + 7] = 1
            pixels[mask > 0] = 255
            rle = coco.encode(np.asfortranarray(mask))
            rle["counts"] = rle["counts"].decode()
            notes.append({"id": len(notes), "image_id": number, "segmentation": rle})
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": 24, "width": 32})
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images, "annotations": notes}))
    return tmp_path


def test_masks_move_with_the_pixels(folder):
    image = read_coco(folder / "annotations.json").images[1]
    with Image.open(folder / "images" / "1.png") as picture:
        pixels = np.asarray(picture)
    for seed in range(5):
        scene = cut_scene(image, pixels, 48, np.random.default_rng(seed))
        assert scene.image.shape == (48, 48, 3)
        assert 0 < scene.count <= MAX_MASKS
        bright = scene.image.mean(-1) > 150
        masks = scene.masks()
        assert (masks & bright).sum() > 0.95 * masks.sum()


def test_cuts_are_of_any_scale(folder):
    image = read_coco(folder / "annotations.json").images[1]
    pixels = np.zeros((*SIZE, 3), np.uint8)
    cuts = (cut_scene(image, pixels, 48, np.random.default_rng(seed)) for seed in range(40))
    largest = [max(scene.masks().sum((1, 2))) for scene in cuts]
    whole = 2 * 7 * (48 / SIZE[0]) ** 2  # pixels of a bar in a cut as wide as the short side
    assert min(largest) < 1.3 * whole
    assert max(largest) > 6 * whole


def test_what_is_held_out_is_in_no_scene(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(annotated_crops, "NUM_VALIDATION", 1)
    store = build_annotated_crops(tmp_path / "store", folder, size=48)
    _, held = split_validation(read_coco(folder / "annotations.json"), 1)
    gray = 50 * int(held.images[0].file_name[0])
    assert len(store) == 2 * annotated_crops.CUTS
    for index in range(len(store)):
        assert abs(int(store[index].image.min()) - gray) > 20
    again = build_annotated_crops(tmp_path / "store", tmp_path / "nowhere")
    np.testing.assert_array_equal(again[0].image, store[0].image)


def test_too_few_images(folder, tmp_path):
    with pytest.raises(ValueError, match="hold out"):
        build_annotated_crops(tmp_path / "store", folder)
