"""Scenes cut from annotated images."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.split_validation import split_validation
from recipes.sam_tiny_synthetic import annotated_crops
from recipes.sam_tiny_synthetic.annotated_crops import build_annotated_crops, random_crop
from recipes.sam_tiny_synthetic.scenes.scene import MAX_MASKS

SIZE = (24, 32)  # height and width of an image


@pytest.fixture
def dataset(tmp_path):
    """Three gray images, each with 40 bright bars of 2 x 7 pixels that fill the rows."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for image_id in range(3):
        pixels = np.full((*SIZE, 3), 50 * image_id, np.uint8)
        for index in range(40):
            mask = np.zeros(SIZE, np.uint8)
            row, column = index // 4 * 2, index % 4 * 8
            mask[row : row + 2, column : column + 7] = 1
            pixels[mask > 0] = 255
            rle = coco.encode(np.asfortranarray(mask))
            rle["counts"] = rle["counts"].decode()
            annotations.append({"id": len(annotations), "image_id": image_id, "segmentation": rle})
        name = f"{image_id}.png"
        Image.fromarray(pixels).save(tmp_path / "images" / name)
        images.append({"id": image_id, "file_name": name, "height": 24, "width": 32})
    content = {"images": images, "annotations": annotations}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_masks_are_transformed_like_the_pixels(dataset):
    image = read_coco(dataset / "annotations.json").images[1]
    with Image.open(dataset / "images" / "1.png") as file:
        pixels = np.asarray(file)
    for seed in range(5):
        scene = random_crop(image, pixels, 48, np.random.default_rng(seed))
        assert scene.image.shape == (48, 48, 3)
        assert 0 < scene.num_masks <= MAX_MASKS
        is_bright = scene.image.mean(-1) > 150
        masks = scene.masks()
        assert (masks & is_bright).sum() > 0.95 * masks.sum()


def test_crops_have_all_scales(dataset):
    image = read_coco(dataset / "annotations.json").images[1]
    pixels = np.zeros((*SIZE, 3), np.uint8)
    scenes = (random_crop(image, pixels, 48, np.random.default_rng(seed)) for seed in range(40))
    largest = [max(scene.masks().sum((1, 2))) for scene in scenes]
    unzoomed = 2 * 7 * (48 / SIZE[0]) ** 2  # area of a bar in a crop of the short side
    assert min(largest) < 1.3 * unzoomed
    assert max(largest) > 6 * unzoomed


def test_validation_images_are_in_no_scene(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(annotated_crops, "NUM_VALIDATION", 1)
    scenes = build_annotated_crops(tmp_path / "crops", dataset, size=48)
    _, validation = split_validation(read_coco(dataset / "annotations.json"), 1)
    gray = 50 * int(validation.images[0].file_name[0])
    assert len(scenes) == 2 * annotated_crops.CROPS_PER_IMAGE
    for index in range(len(scenes)):
        assert abs(int(scenes[index].image.min()) - gray) > 20


def test_complete_scenes_are_kept(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(annotated_crops, "NUM_VALIDATION", 1)
    scenes = build_annotated_crops(tmp_path / "crops", dataset, size=48)
    again = build_annotated_crops(tmp_path / "crops", tmp_path / "nowhere")
    np.testing.assert_array_equal(again[0].image, scenes[0].image)


def test_fewer_images_than_the_validation_set_raise(dataset, tmp_path):
    with pytest.raises(ValueError, match="got 80"):
        build_annotated_crops(tmp_path / "crops", dataset)
