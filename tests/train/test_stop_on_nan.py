"""A loss that is not finite."""

import keras
import numpy as np
import pytest

from keras_sam.train.stop_on_nan import StopOnNaN

pytestmark = pytest.mark.training


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_step_and_the_images_are_named(value):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mean_absolute_error", run_eagerly=True)
    x, y = np.ones((8, 2), "float32"), np.zeros((8, 1), "float32")
    stop = StopOnNaN(lambda index: [f"{2 * index}.png", f"{2 * index + 1}.png"])
    model.fit(x, y, batch_size=2, verbose=0, shuffle=False, callbacks=[stop])
    y[5] = value
    message = "at step 3 of epoch 1, with the images 4.png, 5.png; use a lower learning rate"
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, batch_size=2, verbose=0, shuffle=False, callbacks=[stop])
