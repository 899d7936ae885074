"""`KerasHubSAM`: the model of keras-hub, on the backend in `KERAS_BACKEND`."""

from typing import Any

import numpy as np

from benchmarks.implementations.implementation import Implementation, ModelFiles, Settings

NOT_A_POINT = -1


class KerasHubSAM(Implementation):
    """`predict_on_batch` of the image encoder, and of a model of prompt encoder and mask decoder.

    keras-hub's own task encodes the image again for every prompt. It has no automatic mask
    generation.
    """

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        import keras
        import keras_hub

        from benchmarks.implementations.device import set_up_keras_backend

        set_up_keras_backend(settings)
        # The encoder's layers follow only Keras' global policy, whatever `dtype` is given. The
        # other parts have the dtypes that are stored in the preset.
        keras.config.set_dtype_policy(settings.dtype)
        task = keras_hub.models.SAMImageSegmenter.from_preset(str(files.keras))
        self.encoder = task.backbone.image_encoder
        self.prompt_encoder = with_dtype(task.backbone.prompt_encoder, settings.dtype)
        self.mask_decoder = with_dtype(task.backbone.mask_decoder, settings.dtype)
        self.decoders: dict[tuple[int, ...], Any] = {}
        self.embedding: Any = None

    def images_to_inputs(self, images: np.ndarray) -> Any:
        return images.astype(np.float32) / 255

    def encode(self, inputs: Any) -> Any:
        return self.encoder.predict_on_batch(inputs)

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return np.asarray(embedding, np.float32)

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = np.concatenate([points, np.zeros_like(points[:, :1])], axis=1)
        padding = np.full_like(labels[:, :1], NOT_A_POINT)
        labels = np.concatenate([labels, padding], axis=1).astype(np.float32)
        if labels.shape not in self.decoders:
            self.decoders[labels.shape] = self._build_decoder(*labels.shape)
        outputs = self.decoders[labels.shape].predict_on_batch(
            {"embedding": self.embedding, "points": points, "labels": labels}
        )
        # The model always computes the single mask as well; it comes first.
        masks, iou_predictions = outputs["masks"][:, 1:], outputs["iou_pred"][:, 1:]
        return np.asarray(masks, np.float32), np.asarray(iou_predictions, np.float32)

    def _build_decoder(self, num_prompts: int, num_points: int) -> Any:
        import keras

        shape = tuple(self.encoder.output.shape[1:])
        embedding = keras.Input(batch_shape=(1, *shape), name="embedding")
        points = keras.Input(batch_shape=(num_prompts, num_points, 2), name="points")
        labels = keras.Input(batch_shape=(num_prompts, num_points), name="labels")
        encoded = self.prompt_encoder(points=points, labels=labels)
        outputs = self.mask_decoder(image_embeddings=embedding, **encoded)
        return keras.Model({"embedding": embedding, "points": points, "labels": labels}, outputs)


def with_dtype(layer: Any, dtype: str) -> Any:
    """Return a layer with the same weights and another dtype."""
    if layer.dtype_policy.name == dtype:
        return layer
    copy = type(layer).from_config(layer.get_config() | {"dtype": dtype})
    copy.build()
    copy.set_weights(layer.get_weights())
    return copy
