"""Scenes that lack one ingredient."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.transforms.image_transform import ImageTransform
from recipes.sam_tiny_synthetic.ablation import (
    VARIANTS,
    WITH_NUCLEI,
    EvaluationImage,
    patched,
    point_iou,
    run_ablation,
)
from recipes.sam_tiny_synthetic.scenes.scene import draw_scene


def draw_images() -> np.ndarray:
    return np.stack([draw_scene(seed, 48).image for seed in range(6)])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return draw_images()


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != WITH_NUCLEI])
def test_a_variant_changes_scenes_only_while_it_is_active(name, images):
    with patched(VARIANTS[name]):
        is_changed = not np.array_equal(draw_images(), images)
    assert is_changed == bool(VARIANTS[name])
    np.testing.assert_array_equal(draw_scene(0, 48).image, images[0])


def test_the_mask_of_a_point_consists_of_similar_cells():
    class LeftAndRight:
        """Stands for an encoder that separates the left half of an image from the right half."""

        def encode_image(self, images, training):
            embedding = np.zeros((1, 16, 16, 64), "float32")
            embedding[0, :, :8, 0] = embedding[0, :, 8:, 1] = 8.0  # 8 * 8 / 8 > LOGIT_OFFSET
            return {"image_embeddings": embedding}

    transform = ImageTransform((128, 128), (128, 128))
    left = np.zeros((128, 128), bool)
    left[:, :64] = True
    pixels = np.zeros((128, 128, 3), "float32")
    masks, points = [left, ~left, left], np.array([[9, 9], [99, 9], [99, 9]])
    image = EvaluationImage(transform, pixels, masks, points)
    assert point_iou(LeftAndRight(), [image]) == pytest.approx(2 / 3, abs=0.02)


@pytest.fixture
def annotations(tmp_path):
    """One image with one mask."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 1
    rle = coco.encode(np.asfortranarray(mask))
    rle["counts"] = rle["counts"].decode()
    Image.fromarray(mask * 255).convert("RGB").save(tmp_path / "0.png")
    content = {
        "images": [{"id": 0, "file_name": "0.png", "height": 40, "width": 60}],
        "annotations": [{"id": 0, "image_id": 0, "segmentation": rle}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path / "annotations.json"


def test_an_unknown_variant_raises(annotations, tmp_path):
    with pytest.raises(ValueError, match="unknown variants \\['no such thing'\\]"):
        run_ablation(annotations, tmp_path, tmp_path / "runs", variants=["no such thing"])


def test_completed_variants_are_skipped(annotations, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    results = tmp_path / "runs" / "results.jsonl"
    results.write_text('{"name": "no camera", "seed": 1, "iou": 0.25}\n')
    run_ablation(annotations, tmp_path, tmp_path / "runs", variants=["no camera"])
    assert len(results.read_text().splitlines()) == 1
