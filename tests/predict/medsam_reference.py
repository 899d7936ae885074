"""MedSAM's steps by hand, with a model's network alone."""

import keras
import numpy as np
from PIL import Image


def predict_like_medsam(model, image, box):
    """Predict one mask as MedSAM's inference script does.

    Args:
        model: Segmenter of 64 x 64 pixels. Only its network is used.
        image: Image `(H, W, 3)`, uint8.
        box: Box `(4,)` XYXY in pixels.

    Returns:
        Probabilities `(H, W)` and low-res logits `(1, L, L)`.
    """
    height, width = image.shape[:2]
    resized = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC))
    normalized = (resized - resized.min()) / (resized.max() - resized.min())
    # The network applies ImageNet's normalization, which MedSAM does not have.
    pixels = normalized * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]
    corners = np.array(box) / [width, height, width, height] * 64
    outputs = model(
        {
            "images": pixels[None].astype("float32"),
            "points": corners.reshape(1, 1, 2, 2).astype("float32"),
            "labels": np.array([[[2, 3]]], "int32"),
        }
    )
    low_res_logits = keras.ops.convert_to_numpy(outputs["masks"])[0, 0, :1]
    probabilities = Image.fromarray(1 / (1 + np.exp(-low_res_logits[0])))
    upsampled = probabilities.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(upsampled), low_res_logits


def sensitive_model(build_segmenter):
    """Build a random model whose masks depend on the image much."""
    model = build_segmenter(0)
    rng = np.random.default_rng(5)
    for weight in model.weights:
        values = rng.normal(0, 0.5, weight.shape).astype("float32")
        weight.assign(values + 1 if "gamma" in weight.name else values)
    return model
