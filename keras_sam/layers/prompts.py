"""`Prompts`: the prompts of a batch in one representation."""

from dataclasses import dataclass
from typing import Any

from keras import ops


@dataclass(frozen=True)
class Prompts:
    """`P` prompts per image. Every array has the axis `P`.

    Attributes:
        points: Points `(B, P, N, 2)`, (x, y) in pixels of the model frame, or `None`.
        labels: Labels of the points `(B, P, N)`, or `None`.
        boxes: Box corners `(B, P, 2, 2)`, (x, y) in pixels of the model frame, or `None`.
        masks: Low-res logits `(B, P, H, W, 1)`, or `None`.
        count: Number P of prompts per image. If a compiled program has no static value for it,
            `None`, or a symbolic number of an export.
        has_prompt_axis: If True, results have the axis `P`. If False, P is 1 and results have no
            such axis.
    """

    points: Any
    labels: Any
    boxes: Any
    masks: Any
    count: Any
    has_prompt_axis: bool


def resolve_prompts(
    *,
    images: Any = None,
    points: Any = None,
    labels: Any = None,
    boxes: Any = None,
    masks: Any = None,
) -> Prompts:
    """Check prompts, and convert them to one representation.

    Points `(B, N, 2)` are one prompt per image. Labels `(B, N)`, boxes `(B, 1, 2, 2)` and masks
    `(B, 1, H, W, 1)` belong to the same prompt, and results have no axis `P`.

    Points `(B, P, N, 2)` are P prompts per image, with labels `(B, P, N)`, boxes `(B, P, 2, 2)`
    and masks `(B, P, H, W, 1)`. Results have the axis `P`.

    Without points, boxes and masks are P prompts per image. Results have the axis `P` unless P is
    1, as in keras-hub. Empty points `(B, P, 0, 2)` keep the axis for any P.

    Arrays of length zero count as omitted, but points `(B, 0, 2)` and `(B, P, 0, 2)` still
    determine the axis.

    Args:
        images: Images or image embeddings `(B, ...)`, of which only the first axis is used.
        points: Points `(B, N, 2)` or `(B, P, N, 2)`, (x, y) in pixels of the model frame.
        labels: Labels `(B, N)` or `(B, P, N)`.
        boxes: Box corners `(B, P, 2, 2)`.
        masks: Low-res logits `(B, P, H, W, 1)`.

    Returns:
        The prompts with an axis `P`.

    Raises:
        ValueError: If a shape is not one of the above, or if arrays disagree on `B` or `P`.
    """
    is_single = points is not None and len(points.shape) == 3
    points, labels = _check_points(points, labels)
    boxes = _check_boxes(boxes)
    masks = _check_rank("masks", masks, 5, "(B, P, H, W, 1)")
    if is_single:
        points, labels = points[:, None], labels[:, None]
    counts = {
        name: array.shape[1]
        for name, array in (("points", points), ("boxes", boxes), ("masks", masks))
        if array is not None and array.shape[1] != 0
    }
    count = _common_count(counts, is_single=is_single)
    has_prompt_axis = "points" in counts or any(number != 1 for number in counts.values())
    points, labels = _none_if_empty(points, 2), _none_if_empty(labels, 2)
    boxes, masks = _none_if_empty(boxes, 1), _none_if_empty(masks, 1)
    _check_batch_sizes(images=images, points=points, labels=labels, boxes=boxes, masks=masks)
    return Prompts(
        points=points,
        labels=labels,
        boxes=boxes,
        masks=masks,
        count=count,
        has_prompt_axis=has_prompt_axis and not is_single,
    )


def _check_points(points: Any, labels: Any) -> tuple[Any, Any]:
    if points is None:
        if labels is not None and 0 not in labels.shape:
            raise ValueError(
                f"`labels` of shape {tuple(labels.shape)} came without `points`; pass both"
            )
        return None, None
    if len(points.shape) not in (3, 4) or points.shape[-1] != 2:
        raise ValueError(
            "`points` must have shape (B, N, 2) for one prompt per image, or (B, P, N, 2) for P "
            f"prompts per image; got {tuple(points.shape)}"
        )
    if labels is None and 0 in points.shape[1:-1]:
        return points, ops.zeros((1, *points.shape[1:-1]))
    if labels is None:
        raise ValueError(
            f"`points` of shape {tuple(points.shape)} came without `labels`; pass both"
        )
    if tuple(labels.shape)[1:] != tuple(points.shape)[1:-1]:
        raise ValueError(
            "`labels` must have the shape of `points` without its last axis: expected "
            f"{tuple(points.shape)[:-1]}, got {tuple(labels.shape)}"
        )
    return points, labels


def _check_boxes(boxes: Any) -> Any:
    boxes = _check_rank("boxes", boxes, 4, "(B, P, 2, 2)")
    if boxes is not None and tuple(boxes.shape[2:]) != (2, 2):
        raise ValueError(
            "`boxes` must have shape (B, P, 2, 2), the corners [[x0, y0], [x1, y1]] of each box; "
            f"got {tuple(boxes.shape)}"
        )
    return boxes


def _check_rank(name: str, array: Any, rank: int, expected: str) -> Any:
    if array is not None and len(array.shape) != rank:
        raise ValueError(f"`{name}` must have shape {expected}, got {tuple(array.shape)}")
    return array


def _common_count(counts: dict[str, Any], *, is_single: bool) -> Any:
    """The number of prompts per image, which must be the same in all arrays."""
    if not counts:
        return 1
    # Symbolic sizes of an export cannot be compared.
    known = {name: count for name, count in counts.items() if isinstance(count, int)}
    for name, count in known.items():
        if is_single and count != 1:
            raise ValueError(
                f"points of shape (B, N, 2) are one prompt per image, but `{name}` has {count} "
                f"prompts per image. For {count} prompts per image, pass points "
                f"(B, {count}, N, 2) with labels (B, {count}, N), or omit the points"
            )
    if len(set(known.values())) > 1:
        raise ValueError(
            "prompts disagree on the number of prompts per image (second axis): "
            + ", ".join(f"`{name}` has {count}" for name, count in known.items())
        )
    return next(iter(known.values()), next(iter(counts.values())))


def _check_batch_sizes(**arrays: Any) -> None:
    """Raise a `ValueError` if arrays have different numbers of images, where these are static."""
    counts = {name: array.shape[0] for name, array in arrays.items() if array is not None}
    counts = {name: count for name, count in counts.items() if isinstance(count, int)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "inputs disagree on the number of images (first axis): "
            + ", ".join(f"`{name}` has {count}" for name, count in counts.items())
        )


def _none_if_empty(array: Any, axes: int) -> Any:
    """Return `None` if one of the axes that follow the batch axis has length zero."""
    if array is None or 0 in tuple(array.shape)[1 : 1 + axes]:
        return None
    return array
