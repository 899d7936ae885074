"""Ratings of masks whose outlines were moved, fitted on scenes."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor
from recipes.sam_tiny_synthetic.calibrate_iou import calibrate_iou
from recipes.sam_tiny_synthetic.scenes import draw_scene

SEEDS = range(9_000_000, 9_000_004)


@pytest.fixture(scope="module")
def segmenter():
    model = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    model.preprocessing |= {"ratings": None}
    return model


def ious_and_ratings(segmenter, ratings):
    """Of each mask of a click, as a predictor finds and rates it."""
    segmenter.preprocessing |= {"ratings": ratings}
    predictor = SAMPredictor(segmenter)
    rows = []
    for seed in SEEDS:
        scene = draw_scene(seed)
        predictor.set_image(scene.image)
        for mask in [mask for mask in scene.masks() if 0.004 < mask.mean() < 0.9][:16]:
            logits, rated = predictor.predict_low_res(
                [[mask_interior_point(mask)]], [[1]], multimask_output=None
            )
            found = predictor.frame.postprocess_masks(logits)[0]
            both, either = found & mask, found | mask
            rows += zip(both.sum((1, 2)) / either.sum((1, 2)), rated[0], strict=True)
    return np.array(rows).T


def test_ratings_are_the_least_squares_of_what_a_predictor_finds(segmenter):
    fitted = calibrate_iou(segmenter, SEEDS)
    ious, by_model = ious_and_ratings(segmenter, None)
    support = ious_and_ratings(segmenter, (0, 1, 0))[1]
    terms = np.stack([by_model, support, np.ones_like(ious)], axis=1)
    expected = np.linalg.solve(terms.T @ terms, terms.T @ ious)
    np.testing.assert_allclose(fitted, expected, atol=0.02)
    rated = ious_and_ratings(segmenter, fitted)[1]
    assert rated.mean() == pytest.approx(ious.mean(), abs=0.01)
    assert ((rated - ious) ** 2).mean() < ((by_model - ious) ** 2).mean()


def test_where_no_outline_moves_ratings_stay_the_models(segmenter):
    segmenter.preprocessing = {"outlines": "model"}
    assert calibrate_iou(segmenter, SEEDS) is None
