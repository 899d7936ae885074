"""`split_validation`: the images of a dataset that are measured on, and never trained on."""

from hashlib import sha256

from keras_sam.annotations.coco import CocoDataset, CocoImage


def split_validation(dataset: CocoDataset, count: int) -> tuple[CocoDataset, CocoDataset]:
    """Splits images off by the SHA-256 of their file names, whatever their order in the file.

    Args:
        dataset: of `read_coco`.
        count: number of images to hold out: those whose digests are least.

    Returns:
        The images to train on, and those held out, both in the order of the file.

    Raises:
        ValueError: if the dataset has no more images than are to be held out.
    """
    if not 0 <= count < len(dataset.images):
        raise ValueError(
            f"expected to hold out fewer than the {len(dataset.images)} images, got {count}"
        )
    held = {image.id for image in sorted(dataset.images, key=_digest)[:count]}
    rest = tuple(image for image in dataset.images if image.id not in held)
    apart = tuple(image for image in dataset.images if image.id in held)
    return CocoDataset(rest), CocoDataset(apart)


def _digest(image: CocoImage) -> str:
    return sha256(image.file_name.encode()).hexdigest()
