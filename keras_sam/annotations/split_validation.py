"""`split_validation`: split a dataset into images for training and for validation."""

from hashlib import sha256

from keras_sam.annotations.coco import CocoDataset, CocoImage


def split_validation(dataset: CocoDataset, count: int) -> tuple[CocoDataset, CocoDataset]:
    """Split a dataset into training and validation images.

    Validation images are those with the smallest SHA-256 digests of their file names. The split
    thus does not depend on the order of the file, and a larger `count` only adds images.

    Args:
        dataset: Dataset of `read_coco`.
        count: Number of validation images.

    Returns:
        Training images and validation images, both in the order of the file.

    Raises:
        ValueError: If `count` is negative or leaves no image for training.
    """
    if not 0 <= count < len(dataset.images):
        raise ValueError(
            f"count must be at least 0 and less than the {len(dataset.images)} images, got {count}"
        )
    by_digest = sorted(dataset.images, key=_digest)
    validation_ids = {image.id for image in by_digest[:count]}
    training = tuple(image for image in dataset.images if image.id not in validation_ids)
    validation = tuple(image for image in dataset.images if image.id in validation_ids)
    return CocoDataset(training), CocoDataset(validation)


def _digest(image: CocoImage) -> str:
    return sha256(image.file_name.encode()).hexdigest()
