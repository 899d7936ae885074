"""`JaxEngine`: programs of `jax.jit`."""

from typing import Any

import keras

from keras_sam.engines.engine import Engine, StepFn


class JaxEngine(Engine):
    """Runs steps through `jax.jit`, with the weights as arguments instead of constants."""

    def _compile(self, name: str, step: StepFn, inputs: tuple[Any, ...]) -> StepFn:
        import jax

        variables = list(self.model.variables)

        def stateless(values: list[Any], *inputs: Any) -> tuple[Any, ...]:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return step(*inputs)

        program = jax.jit(stateless)
        return lambda *inputs: program([variable.value for variable in variables], *inputs)
