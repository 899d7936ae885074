"""Everything mode on this backend; `test_mask_generator` tests the rest of it on one."""

import numpy as np
from PIL import Image

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.predictor import SAMPredictor
from tests.predict.metas_everything import (
    PHOTOGRAPH,
    SETTINGS,
    SIZE,
    assert_equal_records,
    everything,
)


def test_equal_to_metas_algorithm():
    settings = SETTINGS | {"points_per_side": 3}
    image = np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize(SIZE[::-1]))
    model = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    model.preprocessing = {"outlines": "model"}  # as Meta's
    predictor = SAMPredictor(model)
    expected = everything(predictor, image, **settings)
    assert_equal_records(SAMMaskGenerator(predictor, **settings).generate(image), expected)
