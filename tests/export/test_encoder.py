"""The image encoder of exported files, compared with the segmenter."""

import numpy as np
from keras import ops

from keras_sam.export.encoder import encoder_function
from keras_sam.export.frame import frame_of
from keras_sam.export.samples import normalize_photo


def test_normalized_images_give_the_embedding_of_the_model(segmenter, image):
    inputs = normalize_photo(image, 64)
    actual = encoder_function(segmenter, frame_of(segmenter, None))(ops.convert_to_tensor(inputs))
    prepared = segmenter.image_transform(image.shape[:2]).apply_image(image)
    expected = segmenter.encode_image(ops.convert_to_tensor(prepared[None]))["image_embeddings"]
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual["image_embeddings"]).transpose(0, 2, 3, 1),
        ops.convert_to_numpy(expected),
        rtol=1e-3,
        atol=1e-4,
    )
