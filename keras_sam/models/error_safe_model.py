"""`ErrorSafeModel`: a model that keeps its weights when training or inference raises."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


class ErrorSafeModel(keras.Model):
    """Base class of all models: it stays usable after `fit`, `evaluate` or `predict` raised.

    With JAX, Keras moves the weights out of the model during these methods. After an error, for
    instance an invalid sample, it would not always move them back. Here, the model has the
    weights of the last complete step.
    """

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.fit`."""
        with self._restored_weights():
            return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.evaluate`."""
        with self._restored_weights():
            return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.predict`."""
        with self._restored_weights():
            return super().predict(*args, **kwargs)

    @contextmanager
    def _restored_weights(self) -> Iterator[None]:
        """Assign the weights of the last step to the model at the end of the context."""
        if keras.backend.backend() != "jax":
            yield
            return
        self._jax_state = None  # of an earlier run, which may be older than the weights
        try:
            yield
        finally:
            self.jax_state_sync()
            self._jax_state = None

    def _get_jax_state(self, **kwargs: Any) -> Any:
        """Keras' hook of the JAX backend, without deleting the model's own references.

        They are needed if the first step raises. JAX frees the memory of the old weights anyway,
        since Keras donates them to the compiled step.
        """
        return super()._get_jax_state(**kwargs | {"purge_model_variables": False})
