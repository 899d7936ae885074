"""Problems of a data set, each named by its file."""

import json
import sys
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations import AnnotatedImage, mask_to_record, open_dataset, write_coco
from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask
from keras_sam.annotations.labelme import write_labelme
from keras_sam.losses.low_res_targets import low_res_targets
from keras_sam.train import check_dataset
from keras_sam.train.check_dataset import PROBLEM_KINDS, _is_target
from keras_sam.transforms.image_transform import ImageTransform


def save_image(path, size=(20, 30), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def square(size=(20, 30), side=10):
    mask = np.zeros(size, bool)
    mask[:side, :side] = True
    return mask


@pytest.fixture
def bad_folder(tmp_path):
    """COCO data with one image for each kind of problem."""
    whole, empty = square(), square(side=0)
    masks = {
        "good.png": [whole, square(side=6)],
        "copy.bmp": [whole],
        "damaged.png": [whole],
        "empty.png": [empty],
        "huge.png": [whole],
        "missing.png": [whole],
        "none.png": [],
        "partly.png": [empty, whole],
        "polygon.png": [whole],
        "small.png": [square(side=1)],
        "wrong.png": [square((20, 31))],
    }
    images = []
    for seed, (name, of_image) in enumerate(masks.items()):
        save_image(tmp_path / name, seed=seed)
        size = of_image[0].shape if of_image else (20, 30)
        images.append(AnnotatedImage(name, size, [mask_to_record(mask) for mask in of_image]))
    write_coco(images, tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    for entry in content["annotations"]:
        if content["images"][entry["image_id"] - 1]["file_name"] == "polygon.png":
            entry["segmentation"] = [[1, 2]]
    (tmp_path / "coco.json").write_text(json.dumps(content))
    save_image(tmp_path / "copy.bmp")
    (tmp_path / "missing.png").unlink()
    (tmp_path / "damaged.png").write_bytes((tmp_path / "good.png").read_bytes()[:500])
    header = bytearray((tmp_path / "good.png").read_bytes())
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(header)
    return tmp_path


def test_each_problem_is_listed_with_its_file(bad_folder):
    report = check_dataset(open_dataset(bad_folder), image_size=(64, 64))
    assert {(problem.image, problem.kind) for problem in report.problems} == {
        ("copy.bmp", "duplicate image"),
        ("damaged.png", "unreadable image"),
        ("empty.png", "empty mask"),
        ("empty.png", "no masks"),
        ("huge.png", "unreadable image"),
        ("missing.png", "unreadable image"),
        ("none.png", "no masks"),
        ("partly.png", "empty mask"),
        ("polygon.png", "unreadable masks"),
        ("small.png", "small mask"),
        ("wrong.png", "wrong mask size"),
    }
    assert {problem.kind for problem in report.problems} == set(PROBLEM_KINDS)
    assert all(problem.image in problem.message for problem in report.problems)
    usable = [image.name for image in report.usable.images]
    assert usable == ["good.png", "partly.png", "small.png"]
    assert report.num_images == 11


def test_report_has_counts_and_quantiles(tmp_path):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "b.png", (40, 50))
    records = [mask_to_record(square(side=side), category=f"c{side}") for side in (2, 4, 6)]
    images = [
        AnnotatedImage("a.png", (20, 30), records),
        AnnotatedImage("b.png", (40, 50), [mask_to_record(square((40, 50), 8), category="c2")]),
    ]
    write_coco(images, tmp_path / "coco.json")
    report = check_dataset(open_dataset(tmp_path))
    assert (report.format, report.num_images, report.num_masks) == ("coco", 2, 4)
    assert list(report.categories.items()) == [("c2", 2), ("c4", 1), ("c6", 1)]
    assert report.image_sizes == ((20, 30), (40, 50))
    assert report.masks_per_image == (1, 2, 3)
    assert report.area_quantiles == (4, 13, 26, 43, 64)
    assert report.problems == ()
    assert str(report).splitlines() == [
        "coco: 2 images, 2 of them usable, 4 masks",
        "image sizes: 30 x 20 to 50 x 40 pixels",
        "masks per image: 1 to 3, median 2",
        "mask areas: 4 to 64 pixels, quartiles 13, 26, 43",
        "categories: c2 (2), c4 (1), c6 (1)",
        "problems: none",
    ]


def test_summary_lists_the_first_problems_of_each_kind(bad_folder, monkeypatch):
    monkeypatch.setattr(sys.modules[_is_target.__module__], "MAX_LISTED", 2)
    lines = str(check_dataset(open_dataset(bad_folder))).splitlines()
    assert lines[5:9] == [
        "unreadable image: 3 in 3 images",
        "- damaged.png: damaged.png is damaged: image file is truncated",
        "- huge.png: huge.png has 60000 x 60000 pixels, more than the 200000000 allowed",
        "- and 1 more",
    ]
    assert lines[-3:] == [
        "empty mask: 2 in 2 images",
        "- mask 0 of empty.png is empty",
        "- mask 0 of partly.png is empty",
    ]


def test_damaged_file_of_labels_is_listed(tmp_path):
    save_image(tmp_path / "a.png")
    write_labelme(
        AnnotatedImage("a.png", (20, 30), [mask_to_record(square())]), tmp_path / "a.json"
    )
    (tmp_path / "lost.json").write_text('{"shapes": [')
    report = check_dataset(open_dataset(tmp_path))
    kinds = [(problem.image, problem.kind) for problem in report.problems]
    assert kinds == [("lost.json", "unreadable image"), ("lost.json", "unreadable masks")]
    assert len(report.usable) == 1


def test_empty_dataset_has_a_report(tmp_path):
    report = check_dataset(LabeledDataset((), "coco", tmp_path))
    assert str(report) == "coco: 0 images, 0 of them usable, 0 masks\nproblems: none"


@pytest.mark.parametrize("size", [(50, 130), (200, 90), (20, 20)])
def test_small_masks_are_those_without_a_target(size):
    """Compared with the targets of training, for masks at the limit."""
    rng = np.random.default_rng(0)
    transform = ImageTransform(size, (64, 64))
    found = []
    for _ in range(60):
        mask = np.zeros(size, bool)
        y, x = (int(rng.integers(0, side)) for side in size)
        mask[y : y + rng.integers(1, 12), x : x + rng.integers(1, 12)] = rng.random() < 0.9
        mask[y, x] = True
        mask &= rng.random(size) < 0.9
        if mask.any():
            targets = low_res_targets(transform.apply_masks(mask[None])[None], (16, 16))
            found.append(bool(keras.ops.convert_to_numpy(targets).any()))
            assert _is_target(mask, (64, 64), (16, 16)) == found[-1]
    assert len(set(found)) == 2


def test_low_res_size_of_the_model_is_used(tmp_path):
    save_image(tmp_path / "a.png")
    labels = [LabeledMask("x", lambda: square(side=2))]
    dataset = LabeledDataset(
        (LabeledImage("a.png", tmp_path / "a.png", lambda: labels),), "coco", tmp_path
    )
    for low_res_size, count in (((32, 32), 0), ((8, 8), 1), (None, 0)):
        report = check_dataset(dataset, image_size=(64, 64), low_res_size=low_res_size)
        assert len(report.problems) == count


@pytest.mark.parametrize("low_res_size", [(0, 16), (20, 20), (128, 128)])
def test_sizes_that_do_not_fit_raise(tmp_path, low_res_size):
    dataset = LabeledDataset((), "coco", tmp_path)
    with pytest.raises(ValueError, match="image_size must be a multiple of low_res_size, got"):
        check_dataset(dataset, image_size=(64, 64), low_res_size=low_res_size)
