"""Results without a model."""

from datetime import UTC, datetime

from keras_sam.batch.image_result import BatchMask, ErrorInfo, ImageResult, Provenance

PROVENANCE = Provenance(
    preset="fake",
    model_hash="f" * 16,
    keras_sam="1",
    keras="2",
    backend="none",
    backend_version="3",
    numpy="4",
    pillow="5",
)
RECORD = {
    "segmentation": {"size": [4, 6], "counts": "012"},
    "area": 3,
    "bbox": [1.0, 2.0, 3.0, 4.0],
    "predicted_iou": 0.5,
    "point_coords": [[1.5, 2.5]],
    "stability_score": 0.25,
    "crop_box": [0.0, 0.0, 6.0, 4.0],
}


def good_result(name, *, num_masks=2, **changes):
    arguments = {
        "image_id": name,
        "path": f"{name}.png",
        "provenance": PROVENANCE,
        "size": (4, 6),
        "masks": (BatchMask(RECORD),) * num_masks,
        "finished_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return ImageResult(**arguments | changes)


def failed_result(name):
    error = ErrorInfo("ImageError", "the file is truncated")
    return good_result(name, num_masks=0, size=None, error=error)
