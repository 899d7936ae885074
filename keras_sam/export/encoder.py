"""`encoder_function`: the image encoder with the inputs and outputs of exported files."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_sam.export.frame import Frame
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD


def encoder_function(model: SAMImageSegmenter, frame: Frame) -> Callable[[Any], dict[str, Any]]:
    """Return the function from normalized images to named embeddings.

    Args:
        model: Model to export.
        frame: Frame of the images.

    Returns:
        Function of images `(B, 3, S, S)`, normalized and padded with zeros. It returns
        `image_embeddings` `(B, D, G, G)`, and for SAM-HQ `interm_embeddings` `(1, B, G, G, E)`,
        the first of the intermediate embeddings that SAM-HQ's own encoder returns.
    """

    def encode(images: Any) -> dict[str, Any]:
        pixels = frame.shrink_images(ops.transpose(images, (0, 2, 3, 1)))
        # The model takes pixels in [0, 1] and normalizes them itself.
        pixels = pixels * ops.array(PIXEL_STD, "float32") + ops.array(PIXEL_MEAN, "float32")
        embedding = model.encode_image(pixels, training=False)
        outputs = {"image_embeddings": ops.transpose(embedding["image_embeddings"], (0, 3, 1, 2))}
        if "early_features" in embedding:
            outputs["interm_embeddings"] = embedding["early_features"][None]
        return outputs

    return encode
