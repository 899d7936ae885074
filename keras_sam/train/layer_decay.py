"""`LayerDecayAdamW`, `layer_rates`: lower learning rates for earlier blocks of an encoder."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


def layer_rates(image_encoder: Any, decay: float) -> dict[str, float]:
    """Return the factors of the learning rates of an image encoder's layers.

    Block `i` of `n` gets `decay ** (n - i)`, and the patch and position embeddings get
    `decay ** (n + 1)`, as in BEiT (arXiv 2106.08254) and ViTDet (2203.16527). All other weights
    keep the full rate.

    Args:
        image_encoder: `ViTDetBackbone` or `TinyViTBackbone`.
        decay: Factor from each block to the one before it, in (0, 1]. 0.8 is common.

    Returns:
        Factor for each prefix of the paths of variables, for `LayerDecayAdamW`.

    Raises:
        ValueError: If `decay` is not in (0, 1].
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be in (0, 1], got {decay}")
    count = len(image_encoder.blocks)
    rates = {block.name: decay ** (count - i) for i, block in enumerate(image_encoder.blocks)}
    for name in ("patch_embedding", "position_embedding"):
        rates[name] = decay ** (count + 1)
    return {f"{image_encoder.name}/{name}": rate for name, rate in rates.items()}


@keras.saving.register_keras_serializable(package="keras_sam")
class LayerDecayAdamW(keras.optimizers.AdamW):
    """AdamW (arXiv 1711.05101) with a learning rate for each layer.

    The rate of the updates and of the weight decay of a variable is multiplied by the factor of
    its layer. Scaled gradients would not do this, since Adam divides by their magnitude.

    Args:
        learning_rate: Learning rate or schedule, see `keras.optimizers.AdamW`.
        layer_rates: Factors by prefixes of the paths of variables, see `layer_rates`. Variables
            without a prefix in it have the factor 1.
        **kwargs: Other arguments of `keras.optimizers.AdamW`.
    """

    def __init__(
        self, learning_rate: Any = 0.001, *, layer_rates: Mapping[str, float], **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.layer_rates = dict(layer_rates)

    def build(self, variables: Any) -> None:
        """Create the moments of the variables."""
        super().build(variables)
        self._rates = [self._rate(variable.path) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay and update a variable."""
        rate = self._rates[self._get_variable_index(variable)]
        learning_rate = ops.cast(learning_rate, variable.dtype) * rate
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * self.weight_decay * learning_rate)
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Do nothing, since `update_step` decays each variable with its own rate."""

    def _rate(self, path: str) -> float:
        rates = self.layer_rates.items()
        return next((rate for prefix, rate in rates if f"{path}/".startswith(f"{prefix}/")), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"layer_rates": self.layer_rates}
