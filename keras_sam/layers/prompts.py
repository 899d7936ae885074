"""`Prompts`: the prompts of a batch in one form, whatever was given and left out."""

from dataclasses import dataclass
from typing import Any

from keras import ops

FOREGROUND, BACKGROUND, NOT_A_POINT = 1, 0, -1
TOP_LEFT, BOTTOM_RIGHT = 2, 3
PADDING = -10  # a point that is not there: masked out in attention


@dataclass(frozen=True)
class Prompts:
    """`P` prompts of each of `B` images, every array with the axis `P`.

    Attributes:
        points: `(B, P, N, 2)` pixels (x, y) of the model frame, or `None`.
        labels: `(B, P, N)`, or `None`.
        boxes: `(B, P, 2, 2)`, or `None`.
        masks: `(B, P, H, W, 1)` low-res logits, or `None`.
        count: `P`, or `None` where a compiled program does not know it.
        has_prompt_axis: whether results keep the axis `P`: false for the form that has one
            prompt for each image.
    """

    points: Any
    labels: Any
    boxes: Any
    masks: Any
    count: int | None
    has_prompt_axis: bool


def resolve_prompts(
    *,
    images: Any = None,
    points: Any = None,
    labels: Any = None,
    boxes: Any = None,
    masks: Any = None,
) -> Prompts:
    """Reads prompts in either form of the model's inputs.

    With points of shape `(B, N, 2)` (also `N = 0`) there is one prompt for each image: labels
    `(B, N)`, boxes `(B, 1, 2, 2)` and masks `(B, 1, H, W, 1)` belong to it. With points
    `(B, P, N, 2)`, or without points, there are `P` prompts for each image: labels `(B, P, N)`,
    boxes `(B, P, 2, 2)`, masks `(B, P, H, W, 1)`. Arrays of length zero count as left out. Of
    `images`, given or embedded, only the first axis `B` is read.

    Raises:
        ValueError: for shapes that fit neither form, that disagree on `B` or `P`, or that can be
            read in more than one way.
    """
    single = points is not None and len(points.shape) == 3
    points, labels = _check_points(points, labels)
    boxes = _check_rank("boxes", boxes, 4, "(B, P, 2, 2)")
    masks = _check_rank("masks", masks, 5, "(B, P, H, W, 1)")
    if boxes is not None and tuple(boxes.shape[2:]) != (2, 2):
        raise ValueError(
            "`boxes` must have shape (B, P, 2, 2), the corners [[x0, y0], [x1, y1]] of each box; "
            f"got {tuple(boxes.shape)}"
        )
    counts = {
        name: array.shape[1]
        for name, array in (("points", points), ("boxes", boxes), ("masks", masks))
        if array is not None and array.shape[1] != 0
    }
    known = {name: count for name, count in counts.items() if count is not None}
    if single:
        for name, count in known.items():
            if name != "points" and count != 1:
                raise ValueError(
                    f"points of shape (B, N, 2) are one prompt for each image, but `{name}` has "
                    f"{count}. For {count} prompts for each image write points "
                    f"(B, {count}, N, 2) with labels (B, {count}, N), or leave the points out"
                )
        counts = known = {"points": 1}
    if len(set(known.values())) > 1:
        raise ValueError(
            "prompts disagree on the number of prompts for each image (their second axis): "
            + ", ".join(f"`{name}` has {count}" for name, count in known.items())
        )
    if single and points is not None:
        points, labels = points[:, None], labels[:, None]
    points, labels = _unless_empty(points, 2), _unless_empty(labels, 2)
    boxes, masks = _unless_empty(boxes, 1), _unless_empty(masks, 1)
    _check_images(images=images, points=points, labels=labels, boxes=boxes, masks=masks)
    return Prompts(
        points=points,
        labels=labels,
        boxes=boxes,
        masks=masks,
        count=next(iter(known.values()), next(iter(counts.values()), 1)),
        has_prompt_axis=not single and bool(counts),
    )


def _check_points(points: Any, labels: Any) -> tuple[Any, Any]:
    if points is None:
        if labels is not None and 0 not in labels.shape:
            raise ValueError(f"`labels` of shape {tuple(labels.shape)} came without `points`")
        return None, None
    if len(points.shape) not in (3, 4) or points.shape[-1] != 2:
        raise ValueError(
            "`points` must have shape (B, N, 2) for one prompt for each image, or (B, P, N, 2) "
            f"for P prompts; got {tuple(points.shape)}"
        )
    if labels is None and 0 in points.shape[1:-1]:
        return (points, ops.zeros((1, *points.shape[1:-1])))
    if labels is None:
        raise ValueError(f"`points` of shape {tuple(points.shape)} came without `labels`")
    if tuple(labels.shape)[1:] != tuple(points.shape)[1:-1]:
        raise ValueError(
            f"`labels` must have the shape of `points` but for its last axis: expected "
            f"{tuple(points.shape)[:-1]}, got {tuple(labels.shape)}"
        )
    return points, labels


def _check_rank(name: str, array: Any, rank: int, form: str) -> Any:
    if array is not None and len(array.shape) != rank:
        raise ValueError(f"`{name}` must have shape {form}, got {tuple(array.shape)}")
    return array


def _check_images(**arrays: Any) -> None:
    """An error if arrays disagree on the number of images, as far as it is known."""
    counts = {name: array.shape[0] for name, array in arrays.items() if array is not None}
    counts = {name: count for name, count in counts.items() if isinstance(count, int)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "inputs disagree on the number of images (their first axis): "
            + ", ".join(f"`{name}` has {count}" for name, count in counts.items())
        )


def _unless_empty(array: Any, axes: int) -> Any:
    """`None` for an array with an axis of length zero behind the batch's."""
    if array is None or 0 in tuple(array.shape)[1 : 1 + axes]:
        return None
    return array
