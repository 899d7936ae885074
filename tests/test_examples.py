"""The programs in `examples/`."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.training
def test_fine_tune(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for index in range(6):
        mask = np.zeros((40, 56), np.uint8)
        mask[5 + index : 25, 4:40] = 255
        image = np.stack([mask // 2 + 40] * 3, axis=-1)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{index}.png")
    main = runpy.run_path(str(EXAMPLES / "fine_tune.py"))["main"]
    main(str(tmp_path / "data"), str(tmp_path / "preset"), epochs=1)
    trained, start = (
        SAMImageSegmenter.from_preset(preset).backbone.mask_decoder.mask_tokens.numpy()
        for preset in (tmp_path / "preset", "sam_tiny_synthetic")
    )
    assert np.abs(trained - start).max() > 1e-6
