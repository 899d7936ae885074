"""`Backbone`: base class of the backbones."""

from collections.abc import Collection
from pathlib import Path

from keras_sam.models.lora import enable_lora, load_lora_weights, save_lora_weights
from keras_sam.models.preset_model import PresetModel


class Backbone(PresetModel):
    """Base class of the backbones, which loads any of them from a preset.

    `Backbone.from_preset` finds the class from the preset's config. A subclass loads only its
    own presets.
    """

    token_embedding = None  # an attribute of keras-hub's backbones, which those of images lack

    def default_lora_layer_names(self) -> list[str]:
        """Return the names of the layers that `enable_lora` adapts by default.

        `qkv` projects the queries, keys and values of an image encoder's attention.
        """
        return ["qkv"]

    def enable_lora(
        self,
        rank: int,
        target_layer_names: Collection[str] | None = None,
        *,
        alpha: float | None = None,
    ) -> None:
        """Freeze the weights, and add trainable low-rank adapters (arXiv 2106.09685).

        `save_to_preset` saves the adapted model with the adapters merged into its weights.

        Args:
            rank: Rank of the adapters.
            target_layer_names: Names of the layers to adapt. Defaults to
                `default_lora_layer_names()`.
            alpha: Adapters are scaled by `alpha / rank`. Defaults to `rank`.

        Raises:
            ValueError: If no layer has one of the names, a layer cannot have adapters or has
                some already, or `rank` is below 1.
        """
        names = (
            self.default_lora_layer_names() if target_layer_names is None else target_layer_names
        )
        enable_lora(self, rank, names, alpha=alpha)

    def save_lora_weights(self, path: str | Path) -> None:
        """Save the adapters alone as a `.safetensors` file.

        Raises:
            ValueError: If there are no adapters.
        """
        save_lora_weights(self, path)

    def load_lora_weights(self, path: str | Path) -> None:
        """Load adapters that `save_lora_weights` saved, and enable them if there are none.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If the file is damaged or belongs to another architecture.
        """
        load_lora_weights(self, path)
