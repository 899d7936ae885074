"""Backgrounds without gaps."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.scenes.backgrounds import (
    cut_regions,
    draw_background,
    draw_regions,
)
from recipes.sam_tiny_synthetic.scenes.canvas import Canvas


@pytest.mark.parametrize("draw", [draw_background, draw_regions])
def test_masks_cover_the_whole_image(draw):
    counts = []
    for seed in range(6):
        canvas = Canvas(64)
        draw(canvas, np.random.default_rng(seed))
        assert np.any(canvas.masks, axis=0).all()
        assert (canvas.image.mean(-1) > 0).mean() > 0.95
        counts.append(len(canvas.masks))
    assert max(counts) > 2


def test_background_masks_are_disjoint():
    for seed in range(6):
        canvas = Canvas(64)
        draw_background(canvas, np.random.default_rng(seed))
        assert (np.sum(canvas.masks, axis=0) == 1).all()


def test_cuts_label_regions_and_keep_some_parents():
    labels, parent_regions = cut_regions(64, 9, np.random.default_rng(1))
    assert labels.max() == 9
    assert len(np.unique(labels)) > 5
    # A region that was cut has several final labels.
    assert any(len(np.unique(labels[region])) > 1 for region in parent_regions)
