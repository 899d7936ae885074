"""A model after `fit`, `evaluate` or `predict` raised: on every backend it predicts as before."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.error_safe_model import ErrorSafeModel


@keras.saving.register_keras_serializable(package="test")
class ScaledModel(ErrorSafeModel):
    """Multiplies by one weight."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        self.built = True

    def call(self, inputs):
        return inputs * self.scale


class Batches(keras.utils.PyDataset):
    """Targets are twice the inputs. From batch `num_valid` on, a batch raises."""

    def __init__(self, *, num_valid: int) -> None:
        super().__init__()
        self.num_valid = num_valid

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index >= self.num_valid:
            raise ValueError(f"batch {index} is invalid")
        x = np.full((2, 1), index + 1, "float32")
        return x, 2 * x


@pytest.fixture
def model() -> ScaledModel:
    model = ScaledModel()
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    return model


def scale_of(model: ScaledModel) -> float:
    found = model.predict(np.ones((1, 1), "float32"), verbose=0).item()
    assert float(ops.convert_to_numpy(model.scale)) == pytest.approx(found)
    return found


@pytest.mark.parametrize("num_valid", [0, 3])
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_an_invalid_batch_leaves_the_weights_unchanged(model, method, num_valid):
    with pytest.raises(Exception, match=f"batch {num_valid} is invalid"):
        getattr(model, method)(Batches(num_valid=num_valid), verbose=0)
    assert scale_of(model) == 1.0


@pytest.mark.training
def test_an_invalid_batch_keeps_the_weights_trained_so_far(model):
    with pytest.raises(Exception, match="batch 3 is invalid"):
        model.fit(Batches(num_valid=3), verbose=0, shuffle=False)
    scale = 1.0
    for x in (1, 2, 3):
        scale -= 0.01 * 2 * x * x * (scale - 2)  # gradient of (scale x - 2 x)^2
    assert scale_of(model) == pytest.approx(scale)


@pytest.mark.training
def test_invalid_validation_data_keep_the_weights_of_the_epoch(model):
    with pytest.raises(Exception, match="batch 3 is invalid"):
        model.fit(Batches(num_valid=5), verbose=0, epochs=2, validation_data=Batches(num_valid=3))
    trained = scale_of(model)
    assert 1 < trained < 2
    model.fit(Batches(num_valid=5), verbose=0)
    assert trained < scale_of(model) < 2


@pytest.mark.training
@pytest.mark.parametrize("assigned", [None, 5.0])
def test_a_step_that_cannot_run_leaves_the_weights_unchanged(model, assigned):
    x = np.ones((2, 1), "float32")
    model.train_on_batch(x, 2 * x)
    if assigned is not None:
        model.scale.assign(assigned)
    expected = scale_of(model)
    wrong = np.ones((3, 5, 7), "float32")
    with pytest.raises(Exception):  # noqa: B017, PT011 - each backend raises its own
        model.fit(wrong, wrong[:, :4, :3], verbose=0)
    assert scale_of(model) == expected
