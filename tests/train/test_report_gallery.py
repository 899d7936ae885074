"""The choice of targets, and crops of their masks."""

from dataclasses import replace

import numpy as np
import pytest

from keras_sam.evaluate import evaluate_dataset
from keras_sam.train.report_gallery import (
    CROP_SIDE,
    GalleryTarget,
    choose_targets,
    predict_crops,
)
from tests.evaluate.known_masks import BOXES, SIZE, KnownMasks, rectangle
from tests.train.report_data import write_dataset


def make_scores(dataset, ious):
    """Scores with the given IoU for boxes, and the opposite for points."""
    score = evaluate_dataset(KnownMasks(), dataset).scores[0]
    return [
        replace(score, annotation_id=index, box_iou=iou, point_iou=1 - iou)
        for index, iou in enumerate(ious)
    ]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"best": [0]}),
        (2, {"best": [0], "worst": [1]}),
        (3, {"best": [0], "median": [1], "worst": [2]}),
        (4, {"best": [0, 1], "median": [2], "worst": [3]}),
        (5, {"best": [0, 1], "median": [2], "worst": [3, 4]}),
        (11, {"best": [0, 1], "median": [4, 5], "worst": [9, 10]}),
        (12, {"best": [0, 1], "median": [5, 6], "worst": [10, 11]}),
    ],
)
def test_best_median_and_worst_targets(tmp_path, count, expected):
    ranks = np.random.default_rng(0).permutation(count)
    scores = make_scores(write_dataset(tmp_path), 1 - ranks / 100)
    found = {}
    for target in choose_targets(scores, per_group=2):
        assert (target.prompt, target.file_name, target.category) == ("box", "a.png", "cat")
        found.setdefault(target.group, []).append(int(ranks[target.index]))
    assert found == expected


def test_targets_are_ranked_by_the_prompt(tmp_path):
    scores = make_scores(write_dataset(tmp_path), [0.2, 0.4, 0.6])
    by_box = choose_targets(scores, prompt="box", per_group=1)
    by_point = choose_targets(scores, prompt="point", per_group=1)
    assert [target.index for target in by_box] == [2, 1, 0]
    assert [target.index for target in by_point] == [0, 1, 2]
    assert {target.prompt for target in by_point} == {"point"}
    assert choose_targets([]) == []
    with pytest.raises(ValueError, match="per_group must be 1 or more, got 0"):
        choose_targets(scores, per_group=0)


def test_crops_have_the_scores_of_the_evaluation(tmp_path):
    dataset = write_dataset(tmp_path)
    scores = evaluate_dataset(KnownMasks(), dataset).scores
    targets = [
        GalleryTarget("best", prompt, score.file_name, score.annotation_id, score.category)
        for score in reversed(scores)
        for prompt in ("box", "point")
    ]
    crops = predict_crops(KnownMasks(), dataset, targets)
    expected = [iou for score in reversed(scores) for iou in (score.box_iou, score.point_iou)]
    assert [crop.iou for crop in crops] == pytest.approx(expected)


def test_a_crop_is_the_part_around_the_target(tmp_path):
    dataset = write_dataset(tmp_path)
    target = GalleryTarget("best", "box", "b.png", 1, "dog")
    (crop,) = predict_crops(KnownMasks(), dataset, [target])
    # The box (60, 20, 80, 45) has 10 pixels of context, where the image has them.
    region = slice(10, 45), slice(50, 80)
    height, width = 35, 30
    scale = CROP_SIDE / height
    assert crop.image.shape == (CROP_SIDE, round(width * scale), 3)
    pixels = dataset.images[1].image()[region]
    rows = ((np.arange(CROP_SIDE) + 0.5) / scale).astype(int)
    columns = ((np.arange(crop.image.shape[1]) + 0.5) / scale).astype(int)
    np.testing.assert_allclose(crop.image, pixels[rows][:, columns], atol=5)
    for found, box in ((crop.target, BOXES[1]), (crop.mask, (60, 20, 78, 45))):
        expected = rectangle(*box)[region][rows][:, columns]
        assert (found != expected).mean() < 0.01
        assert found.dtype == bool


def test_large_targets_are_reduced(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_sam.train.report_gallery.CROP_SIDE", 16)
    dataset = write_dataset(tmp_path)
    target = GalleryTarget("best", "box", "a.png", 0, "cat")
    (crop,) = predict_crops(KnownMasks(), dataset, [target])
    assert crop.image.shape == (11, 16, 3)  # of 66 x 45 pixels
    assert crop.target.shape == crop.mask.shape == (11, 16)
    assert crop.target.mean() == pytest.approx(40 * 25 / (66 * 45), abs=0.06)
    assert SIZE == (45, 80)


def test_each_image_is_encoded_once(tmp_path):
    class Counted(KnownMasks):
        images = 0

        def set_image(self, image, image_format="RGB"):
            self.images += 1
            super().set_image(image)

    dataset = write_dataset(tmp_path)
    predictor = Counted()
    targets = [
        GalleryTarget("best", "box", name, index, "cat")
        for index in (0, 1)
        for name in ("a.png", "b.png")
    ]
    predict_crops(predictor, dataset, targets)
    assert predictor.images == 2


def test_an_unknown_image_raises(tmp_path):
    dataset = write_dataset(tmp_path)
    with pytest.raises(ValueError, match=r"c\.png is not an image of the data set"):
        predict_crops(KnownMasks(), dataset, [GalleryTarget("best", "box", "c.png", 0, "cat")])
