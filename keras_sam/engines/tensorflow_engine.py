"""`TensorflowEngine`: programs of `tf.function`."""

from typing import Any

from keras_sam.engines.engine import Engine, StepFn


class TensorflowEngine(Engine):
    """Runs steps through `tf.function`."""

    def _compile(self, name: str, step: StepFn, inputs: tuple[Any, ...]) -> StepFn:
        import tensorflow as tf

        return tf.function(step, autograph=False)
