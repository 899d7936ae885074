"""Options of automatic mask generation."""

import numpy as np
import pytest

from keras_sam.predict import GeneratorConfig
from keras_sam.transforms.inference_config import MaskThresholds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points_per_side": None}, "either points_per_side or point_grids"),
        ({"point_grids": [np.zeros((1, 2))]}, "either points_per_side or point_grids"),
        ({"points_per_side": "fine"}, 'points_per_side must be a whole number or "auto"'),
        ({"points_per_side": 2.5}, 'points_per_side must be a whole number or "auto", got 2.5'),
        ({"points_per_side": 0}, "points_per_side must be at least 1, got 0"),
        (
            {"points_per_side": 3, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
            "points_per_side=3 is too small for 2 layers",
        ),
        ({"points_per_side": None, "point_grids": [np.array([[2.0, 0.5]])]}, r"in \[0, 1\]"),
        ({"points_per_side": None, "point_grids": [np.zeros((0, 2))]}, r"points \(P, 2\)"),
        ({"points_per_side": None, "point_grids": []}, "one grid for each of the 1 layers"),
        (
            {"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1},
            "one grid for each of the 2 layers",
        ),
        ({"points_per_batch": 0}, "points_per_batch must be 1 or more, got 0"),
        ({"crop_n_layers": -1}, "crop_n_layers must be 0 or more, got -1"),
        ({"crop_n_points_downscale_factor": 0}, "crop_n_points_downscale_factor must be 1 or"),
        ({"min_mask_region_area": -1}, "min_mask_region_area must be 0 or more, got -1"),
        ({"stability_score_offset": -0.5}, r"stability_score_offset must be 0 or more, got -0\.5"),
        ({"pred_iou_thresh": 88}, r"pred_iou_thresh must be in \[0, 1\], got 88"),
        ({"pred_iou_thresh": float("nan")}, r"pred_iou_thresh must be in \[0, 1\], got nan"),
        ({"stability_score_thresh": -0.1}, r"stability_score_thresh must be in \[0, 1\]"),
        ({"box_nms_thresh": 1.5}, r"box_nms_thresh must be in \[0, 1\], got 1\.5"),
        ({"crop_nms_thresh": -1}, r"crop_nms_thresh must be in \[0, 1\], got -1"),
        ({"crop_overlap_ratio": 2}, r"crop_overlap_ratio must be in \[0, 1\], got 2"),
        ({"output_mode": "png"}, "output_mode must be one of binary_mask, .* got 'png'"),
    ],
)
def test_option_out_of_range_raises(options, message):
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**options)


def test_missing_thresholds_are_filled_in():
    config = GeneratorConfig(stability_score_thresh=0.0)
    filled = config.with_thresholds(MaskThresholds(0.4, 0.6))
    assert (filled.pred_iou_thresh, filled.stability_score_thresh) == (0.4, 0.0)
    assert config.pred_iou_thresh is None


def test_point_grids_of_layers():
    config = GeneratorConfig(4, crop_n_layers=2, crop_n_points_downscale_factor=2)
    assert config.points_per_side_of_layers() == [4, 2, 1]
    grids = config.layer_point_grids()
    np.testing.assert_allclose(grids[1], [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    assert [len(grid) for grid in grids] == [16, 4, 1]
    assert not config.adds_finer_points


def test_auto_starts_with_half_the_points_of_the_default():
    config = GeneratorConfig("auto")
    assert config.adds_finer_points
    assert config.points_per_side_of_layers() == [16]
    assert GeneratorConfig().points_per_side_of_layers() == [32]


def test_custom_point_grids():
    grids = [np.array([[0.1, 0.2]]), np.array([[0.5, 1.0], [0.0, 0.3]])]
    config = GeneratorConfig(None, point_grids=grids, crop_n_layers=1)
    assert config.points_per_side_of_layers() is None
    for grid, expected in zip(config.layer_point_grids(), grids, strict=True):
        np.testing.assert_array_equal(grid, expected)
