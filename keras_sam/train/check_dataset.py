"""`check_dataset`: counts, sizes and problems of labeled images, before training."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
from PIL import Image

from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage
from keras_sam.errors import ImageError
from keras_sam.masks.measures import mask_to_box
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.types import Size, is_size

# Kinds of problems, and if images with such a problem can be used.
PROBLEM_KINDS = {
    "unreadable image": False,
    "unreadable masks": False,
    "wrong mask size": False,
    "no masks": False,
    "duplicate image": False,  # may be on both sides of a split
    "empty mask": True,
    "small mask": True,
}
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
LOW_RES_FACTOR = 4  # pixels of the model frame per low-res cell in SAM
MAX_LISTED = 5  # problems of each kind in `str(report)`
MAX_CATEGORIES = 10  # in `str(report)`


@dataclass(frozen=True)
class DatasetProblem:
    """One problem of an image or of its masks.

    Attributes:
        image: Name of the image.
        kind: Key of `PROBLEM_KINDS`.
        message: One sentence.
    """

    image: str
    kind: str
    message: str


@dataclass(frozen=True)
class DatasetReport:
    """Counts, sizes and problems of a data set. `str(report)` is a summary.

    Attributes:
        format: Format of the data set.
        num_images: Number of images.
        num_masks: Number of masks that could be decoded.
        categories: Number of masks by category, most frequent first.
        image_sizes: Smallest and largest `(height, width)` by area, or None without images.
        masks_per_image: Minimum, median and maximum number of masks of readable images.
        area_quantiles: Quantiles 0, 0.25, 0.5, 0.75 and 1 of the masks' areas in pixels.
        problems: Problems in the order of the images.
        usable: Images without a problem that prevents training.
    """

    format: str
    num_images: int
    num_masks: int
    categories: Mapping[str, int]
    image_sizes: tuple[Size, Size] | None
    masks_per_image: tuple[float, float, float]
    area_quantiles: tuple[float, ...]
    problems: tuple[DatasetProblem, ...]
    usable: LabeledDataset = field(repr=False)

    def __str__(self) -> str:
        lines = [
            f"{self.format}: {self.num_images} images, {len(self.usable)} of them usable, "
            f"{self.num_masks} masks"
        ]
        if self.image_sizes is not None:
            sizes = (f"{width} x {height}" for height, width in self.image_sizes)
            lines.append(f"image sizes: {' to '.join(dict.fromkeys(sizes))} pixels")
        if self.num_masks:
            fewest, median, most = self.masks_per_image
            names = [f"{name} ({count})" for name, count in self.categories.items()]
            if len(names) > MAX_CATEGORIES:
                names[MAX_CATEGORIES:] = [f"and {len(names) - MAX_CATEGORIES} more"]
            smallest, *quartiles, largest = self.area_quantiles
            lines += [
                f"masks per image: {fewest:g} to {most:g}, median {median:g}",
                f"mask areas: {smallest:g} to {largest:g} pixels, "
                f"quartiles {', '.join(f'{area:g}' for area in quartiles)}",
                "categories: " + ", ".join(names),
            ]
        if not self.problems:
            lines.append("problems: none")
        for kind in PROBLEM_KINDS:
            found = [problem for problem in self.problems if problem.kind == kind]
            if found:
                num_images = len({problem.image for problem in found})
                lines.append(f"{kind}: {len(found)} in {num_images} images")
                lines += [f"- {problem.message}" for problem in found[:MAX_LISTED]]
                if len(found) > MAX_LISTED:
                    lines.append(f"- and {len(found) - MAX_LISTED} more")
        return "\n".join(lines)


def check_dataset(
    dataset: LabeledDataset, *, image_size: Size | None = None, low_res_size: Size | None = None
) -> DatasetReport:
    """Read all images and masks once, and list what is wrong with them.

    A bad file is listed and never raises.

    Args:
        dataset: Images with their masks.
        image_size: `(height, width)` of the model frame. If given, masks are listed that cover no
            low-res cell by half after the resize, so that they are no targets.
        low_res_size: `(height, width)` of the low-res grid. Defaults to a quarter of
            `image_size`, as in SAM.

    Returns:
        Counts, sizes and problems, and the usable images.

    Raises:
        ValueError: If `image_size` is not a multiple of `low_res_size`.
    """
    if image_size is not None:
        height, width = image_size
        low_res_size = low_res_size or (height // LOW_RES_FACTOR, width // LOW_RES_FACTOR)
        if not is_size(low_res_size) or any(np.mod(image_size, low_res_size)):
            raise ValueError(
                f"image_size must be a multiple of low_res_size, got {image_size} and "
                f"{low_res_size}"
            )
    checked = [_check_image(image, image_size, low_res_size) for image in dataset.images]
    problems: list[DatasetProblem] = []
    usable: list[LabeledImage] = []
    first_names: dict[str, str] = {}  # by the digest of the pixels
    for image, found in zip(dataset.images, checked, strict=True):
        of_image = list(found.problems)
        first = first_names.setdefault(found.digest or image.name, image.name)
        if first != image.name:
            message = f"{image.name} has the same pixels as {first}"
            of_image.append(DatasetProblem(image.name, "duplicate image", message))
        problems += of_image
        if all(PROBLEM_KINDS[problem.kind] for problem in of_image):
            usable.append(image)
    sizes = sorted(
        (found.size for found in checked if found.size), key=lambda size: size[0] * size[1]
    )
    counts = [len(found.areas) for found in checked if found.size] or [0]
    areas = [area for found in checked for area in found.areas]
    categories = Counter(name for found in checked for name in found.categories)
    return DatasetReport(
        format=dataset.format,
        num_images=len(dataset),
        num_masks=len(areas),
        categories=dict(categories.most_common()),
        image_sizes=(sizes[0], sizes[-1]) if sizes else None,
        masks_per_image=(min(counts), float(np.median(counts)), max(counts)),
        area_quantiles=tuple(np.quantile(areas or [0], QUANTILES).tolist()),
        problems=tuple(problems),
        usable=replace(dataset, images=tuple(usable)),
    )


@dataclass
class _CheckedImage:
    """Measures of one image. `size` is None and `digest` is empty if it is unreadable."""

    size: Size | None = None
    digest: str = ""
    areas: list[int] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    problems: list[DatasetProblem] = field(default_factory=list)


def _check_image(
    image: LabeledImage, image_size: Size | None, low_res_size: Size | None
) -> _CheckedImage:
    checked = _CheckedImage()

    def add(kind: str, message: str) -> None:
        checked.problems.append(DatasetProblem(image.name, kind, message))

    try:
        pixels = image.image()
        checked.size = pixels.shape[0], pixels.shape[1]
        checked.digest = sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    except (ValueError, OSError) as error:
        add("unreadable image", f"{image.name}: {error}")
    try:
        labels = image.labels()
    except (ValueError, OSError) as error:
        is_repeated = isinstance(error, FileNotFoundError | ImageError) and checked.size is None
        if not is_repeated:
            add("unreadable masks", f"masks of {image.name}: {error}")
        return checked
    for index, label in enumerate(labels):
        name = f"mask {index} of {image.name}"
        try:
            mask = label.mask()
        except (ValueError, OSError) as error:
            add("unreadable masks", f"{name}: {error}")
            continue
        checked.categories.append(label.category)
        checked.areas.append(int(mask.sum()))
        if checked.size is not None and mask.shape != checked.size:
            add("wrong mask size", f"{name} has size {mask.shape}, its image {checked.size}")
        elif not checked.areas[-1]:
            add("empty mask", f"{name} is empty")
        elif image_size and low_res_size and not _is_target(mask, image_size, low_res_size):
            frame = f"{image_size[1]} x {image_size[0]}"
            add("small mask", f"{name} covers no low-res cell by half at {frame} pixels")
    if not any(checked.areas) and all(PROBLEM_KINDS[problem.kind] for problem in checked.problems):
        only = "only empty masks" if labels else "no masks"
        add("no masks", f"{image.name} has {only}")
    return checked


def _is_target(mask: np.ndarray, image_size: Size, low_res_size: Size) -> bool:
    """Return True if a mask `(H, W)` covers at least one low-res cell by half.

    The same as in training (`ImageTransform.apply_masks`, then `low_res_targets`), but only in
    the cells around the mask.
    """
    transform = ImageTransform((mask.shape[0], mask.shape[1]), image_size)
    factor = np.array(image_size) // low_res_size
    cell = factor * mask.shape / transform.input_size  # in pixels of the original
    x0, y0, x1, y1 = mask_to_box(mask)
    first = np.floor((y0, x0) / cell)
    count = (np.ceil((y1, x1) / cell) - first).astype(int)
    start, end = first * cell, (first + count) * cell
    corner = np.floor(start).astype(int)
    part = np.zeros(np.ceil(end).astype(int) - corner + 1, np.uint8)  # may extend past the image
    inside = mask[corner[0] :, corner[1] :][: part.shape[0], : part.shape[1]]
    part[: inside.shape[0], : inside.shape[1]] = inside * np.uint8(255)
    rows, columns = count * factor
    (top, left), (bottom, right) = (start - corner).tolist(), (end - corner).tolist()
    box = left, top, right, bottom
    resized = Image.fromarray(part).resize((columns, rows), Image.Resampling.BOX, box=box)
    cells = np.asarray(resized).reshape(count[0], factor[0], count[1], factor[1]) >= 128
    return bool(cells.mean(axis=(1, 3)).max() >= 0.5)
