"""`PromptTrainedModel`: a model that is trained with prompts simulated from target masks."""

from typing import Any

import keras
from keras.src.losses.loss import scale_loss_for_distribution

from keras_sam.layers.tune_malloc import tune_malloc
from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.losses.replicas import average_gradients
from keras_sam.models.raw_input_model import RawInputModel
from keras_sam.models.trained_part import TrainedPart, set_trained_part

LEARNING_RATE = 5e-5  # of optimizers that are given by name


class PromptTrainedModel(RawInputModel):
    """Base class of `SAMImageSegmenter`: its training and evaluation by Keras.

    The loss simulates the prompts, so it takes the model instead of its outputs.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._objective: Any = None

    def set_trained_part(
        self, part: TrainedPart, *, lora_rank: int = 8, remat: bool = False
    ) -> None:
        """Choose the weights that `fit` trains. Call it before `compile`.

        Args:
            part: "decoder" for everything but the image encoder, which is the fastest and the
                safest choice for few images; "lora" for the decoder and low-rank adapters in the
                image encoder; "all" for all weights.
            lora_rank: Rank of the adapters, for "lora".
            remat: If True, training keeps only the outputs of the image encoder's blocks, and
                computes the rest again for the gradients. This saves memory and takes a third
                more time. For "lora" and "all"; the argument `remat` of
                `InteractiveSegmentationLoss` does the same for the mask decoder.

        Raises:
            ValueError: If the part is unknown, the image encoder has adapters already, or it
                cannot be rematerialized since it has batch norms.
        """
        set_trained_part(self.backbone, part, lora_rank=lora_rank, remat=remat)

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", *, metrics: Any = "auto", **kwargs: Any
    ) -> None:
        """Configure training and evaluation.

        Args:
            optimizer: See `keras.Model.compile`. "auto" selects AdamW with gradients clipped to a
                global norm of 1. "auto" and names of optimizers use a learning rate of 5e-5;
                Keras' default of 1e-3 would destroy trained weights.
            loss: Layer whose `compute` returns the loss. "auto" selects
                `InteractiveSegmentationLoss`, which simulates prompts from the target masks.
            metrics: Metrics as in `keras.Model.compile`. They compare target masks with the mask
                of the first prompt that has the highest predicted IoU, as probabilities
                `(B, P, L, L)`. Padding masks count as correct background; `weighted_metrics`
                ignores them. "auto" adds none to those of the loss.
            **kwargs: Other arguments of `keras.Model.compile`.

        Raises:
            TypeError: If the loss is not a layer.
        """
        if isinstance(optimizer, str):
            if optimizer == "auto":
                optimizer = keras.optimizers.AdamW(global_clipnorm=1.0)
            optimizer = keras.optimizers.get(optimizer)
            optimizer.learning_rate = LEARNING_RATE
        if isinstance(loss, str) and loss == "auto":
            loss = InteractiveSegmentationLoss()
        if loss is not None and not isinstance(loss, keras.layers.Layer):
            raise TypeError(
                "SAM is trained with prompts simulated from target masks; use loss='auto' or "
                f"an InteractiveSegmentationLoss, got {loss!r}"
            )
        metrics = None if isinstance(metrics, str) and metrics == "auto" else metrics
        tune_malloc()  # with PyTorch on a CPU, a step takes two thirds of the time
        self._set_layer("_objective", loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)
        if self._compile_metrics is not None:
            masks = keras.KerasTensor((None, None, *self.backbone.low_res_size))
            self._compile_metrics.build(masks, masks)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile` for `.keras` files."""
        config = super().get_compile_config()
        if not config:
            return config
        return config | {
            "loss": keras.saving.serialize_keras_object(self._objective),
            "has_optimizer_state": bool(self.optimizer and self.optimizer.built),
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Call `compile` with the output of `get_compile_config`."""
        arguments = keras.saving.deserialize_keras_object(config)
        has_optimizer_state = arguments.pop("has_optimizer_state")
        self.compile(**arguments)
        if has_optimizer_state:
            self.optimizer.build(self.trainable_variables)

    @property
    def prompt_seed_generator(self) -> Any:
        """The `keras.random.SeedGenerator` of the simulated prompts, or `None`."""
        return getattr(self._objective, "seed_generator", None)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Compute the loss of a batch, and update the metrics given to `compile`."""
        if self._objective is None:
            raise ValueError("to train or evaluate, call compile() with loss='auto' first")
        if sample_weight is not None:
            raise ValueError("sample_weight is not supported; leave out masks instead")
        result = self._objective.compute(self, x, y, y_pred, training=training)
        # Here, since the predictions are simulated within the loss.
        if self._compile_metrics is not None and result.prediction is not None:
            prediction = result.prediction * result.valid[..., None, None]
            self._compile_metrics.update_state(result.target, prediction, result.valid)
        loss = scale_loss_for_distribution(result.loss)
        return average_gradients(loss) if training else loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the metrics, which `compute_loss` has updated."""
        return self.get_metrics_result()

    def _set_layer(self, name: str, layer: Any) -> None:
        """Set an attribute to a layer after the model was built."""
        self._tracker.unlock()
        setattr(self, name, layer)
        self._tracker.lock()
