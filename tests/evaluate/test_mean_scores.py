"""Means over all masks and over groups of masks."""

import pytest

from keras_sam.evaluate import MaskScore, mean_scores, scores_by_category, scores_by_size
from keras_sam.evaluate.mean_scores import size_name


def score(value, *, category="cat", area=10, jittered=None):
    return MaskScore(
        file_name="a.png",
        annotation_id=1,
        category=category,
        area=area,
        box_iou=value,
        point_iou=value / 2,
        point_oracle_iou=value / 3,
        three_point_iou=value / 4,
        jittered_point_iou=jittered,
        box_boundary_iou=value / 5,
        point_boundary_iou=value / 6,
        three_point_boundary_iou=value / 7,
        multimask_iou=(value, 0, 0),
        predicted_iou=(1, 0, 0),
        box_predicted_iou=1,
        click_iou=None,
    )


def test_every_score_is_averaged():
    means = mean_scores([score(0.2), score(0.6)])
    assert means.masks == 2
    assert means.box_iou == pytest.approx(0.4)
    assert means.point_iou == pytest.approx(0.4 / 2)
    assert means.point_oracle_iou == pytest.approx(0.4 / 3)
    assert means.three_point_iou == pytest.approx(0.4 / 4)
    assert means.box_boundary_iou == pytest.approx(0.4 / 5)
    assert means.point_boundary_iou == pytest.approx(0.4 / 6)
    assert means.three_point_boundary_iou == pytest.approx(0.4 / 7)
    assert means.jittered_point_iou is None


def test_random_points_are_averaged_if_measured():
    assert mean_scores([score(1, jittered=0.1), score(1, jittered=0.3)]).jittered_point_iou == 0.2


def test_categories_are_sorted_and_averaged_apart():
    scores = [score(0.2, category="dog"), score(0.4), score(0.8)]
    groups = scores_by_category(scores)
    assert list(groups) == ["cat", "dog"]
    assert [(one.masks, one.box_iou) for one in groups.values()] == [
        (2, pytest.approx(0.6)),
        (1, pytest.approx(0.2)),
    ]


def test_sizes_are_those_of_coco():
    assert [size_name(area) for area in (1, 1023, 1024, 9215, 9216, 1e9)] == [
        "small",
        "small",
        "medium",
        "medium",
        "large",
        "large",
    ]
    groups = scores_by_size([score(0.2, area=9216), score(0.4, area=5), score(0.6, area=6)])
    assert list(groups) == ["small", "large"]
    assert [one.box_iou for one in groups.values()] == pytest.approx([0.5, 0.2])


def test_no_scores_raise():
    with pytest.raises(ValueError, match="at least one mask, got none"):
        mean_scores([])
