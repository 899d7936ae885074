"""Prompts in every accepted shape, and errors for others."""

import numpy as np
import pytest

from keras_sam.layers.prompts import resolve_prompts


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, "float32")


def test_points_of_rank_3_are_one_prompt_per_image():
    prompts = resolve_prompts(
        points=zeros(2, 3, 2),
        labels=zeros(2, 3),
        boxes=zeros(2, 1, 2, 2),
        masks=zeros(2, 0, 8, 8, 1),
    )
    assert prompts.points.shape == (2, 1, 3, 2)
    assert prompts.labels.shape == (2, 1, 3)
    assert prompts.boxes.shape == (2, 1, 2, 2)
    assert prompts.masks is None
    assert prompts.count == 1
    assert not prompts.has_prompt_axis


@pytest.mark.parametrize("count", [1, 5])
def test_points_of_rank_4_keep_the_prompt_axis(count):
    prompts = resolve_prompts(points=zeros(2, count, 3, 2), labels=zeros(2, count, 3))
    assert prompts.points.shape == (2, count, 3, 2)
    assert prompts.count == count
    assert prompts.has_prompt_axis


@pytest.mark.parametrize(
    "prompts",
    [
        {"boxes": zeros(2, 4, 2, 2)},
        {"masks": zeros(2, 4, 8, 8, 1)},
        {"boxes": zeros(2, 4, 2, 2), "masks": zeros(2, 4, 8, 8, 1)},
        {"boxes": zeros(2, 4, 2, 2), "points": zeros(2, 4, 0, 2)},
        {"boxes": zeros(2, 4, 2, 2), "masks": zeros(2, 0, 8, 8, 1)},
    ],
)
def test_several_boxes_or_masks_keep_the_prompt_axis(prompts):
    resolved = resolve_prompts(**prompts)
    assert resolved.count == 4
    assert resolved.has_prompt_axis


@pytest.mark.parametrize(
    "prompts",
    [
        {"boxes": zeros(2, 1, 2, 2)},
        {"masks": zeros(2, 1, 8, 8, 1)},
        {"boxes": zeros(2, 1, 2, 2), "masks": zeros(2, 1, 8, 8, 1)},
        {"boxes": zeros(2, 1, 2, 2), "masks": zeros(2, 0, 8, 8, 1)},
        {"boxes": zeros(2, 1, 2, 2), "points": zeros(2, 0, 2)},
    ],
)
def test_one_box_or_mask_has_no_prompt_axis(prompts):
    resolved = resolve_prompts(**prompts)
    assert resolved.count == 1
    assert not resolved.has_prompt_axis


def test_empty_points_of_rank_4_keep_the_axis_of_one_box():
    prompts = resolve_prompts(points=zeros(2, 1, 0, 2), boxes=zeros(2, 1, 2, 2))
    assert prompts.points is None
    assert prompts.count == 1
    assert prompts.has_prompt_axis


@pytest.mark.parametrize(
    "prompts",
    [{}, {"points": zeros(2, 0, 2), "labels": zeros(2, 0)}, {"boxes": zeros(2, 0, 2, 2)}],
)
def test_no_prompts_are_one_prompt_per_image(prompts):
    resolved = resolve_prompts(**prompts)
    assert resolved.points is None
    assert resolved.boxes is None
    assert resolved.count == 1
    assert not resolved.has_prompt_axis


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points": zeros(1, 2, 2), "labels": zeros(1, 2), "boxes": zeros(1, 3, 2, 2)}, "pass"),
        ({"points": zeros(1, 2, 2)}, "without `labels`"),
        ({"labels": zeros(1, 2)}, "without `points`"),
        ({"points": zeros(1, 2), "labels": zeros(1)}, "must have shape"),
        ({"points": zeros(1, 2, 3), "labels": zeros(1, 2)}, "must have shape"),
        ({"points": zeros(1, 2, 2), "labels": zeros(1, 3)}, "expected"),
        ({"boxes": zeros(1, 4)}, "`boxes`"),
        ({"boxes": zeros(1, 2, 4, 1)}, "corners"),
        ({"masks": zeros(1, 8, 8, 1)}, "`masks`"),
        ({"boxes": zeros(1, 2, 2, 2), "masks": zeros(1, 3, 8, 8, 1)}, "disagree"),
        ({"points": zeros(2, 1, 2), "labels": zeros(1, 1)}, "number of images"),
        ({"images": zeros(2, 8, 8, 3), "boxes": zeros(1, 1, 2, 2)}, "number of images"),
    ],
)
def test_other_shapes_raise(prompts, message):
    with pytest.raises(ValueError, match=message):
        resolve_prompts(**prompts)


@pytest.mark.torch
def test_symbolic_counts_are_not_compared():
    import torch

    class Resolve(torch.nn.Module):
        def forward(self, points, labels, boxes):
            prompts = resolve_prompts(points=points, labels=labels, boxes=boxes)
            assert not isinstance(prompts.count, int)
            return prompts.points + prompts.boxes.sum()

    def inputs(count):
        arrays = zeros(1, count, 4, 2), zeros(1, count, 4), zeros(1, count, 2, 2)
        return tuple(map(torch.from_numpy, arrays))

    sizes = {1: torch.export.Dim("prompts")}
    shapes = (sizes, sizes, sizes)
    program = torch.export.export(Resolve(), inputs(2), dynamic_shapes=shapes, strict=False)
    assert program.module()(*inputs(3)).shape == (1, 3, 4, 2)
