"""`KerasHubSAM`: the model of keras-hub, on the backend that `KERAS_BACKEND` tells."""

from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, ModelFiles, Setting

NOT_A_POINT = -1


class KerasHubSAM(Contender):
    """`predict_on_batch` of its encoder, and of a model of its prompt encoder and mask decoder.

    Its own task encodes the image again for every prompt. It has no everything mode.
    """

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        import keras
        import keras_hub

        from benchmarks.contenders.keras_backend import set_up_backend

        set_up_backend(setting)
        # The layers of its encoder follow the policy of Keras alone, whatever `dtype` says; those
        # of its other parts the types that are written in the preset.
        keras.config.set_dtype_policy(setting.dtype)
        task = keras_hub.models.SAMImageSegmenter.from_preset(str(files.keras))
        self.encoder = task.backbone.image_encoder
        self.prompt_encoder = in_dtype(task.backbone.prompt_encoder, setting.dtype)
        self.mask_decoder = in_dtype(task.backbone.mask_decoder, setting.dtype)
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
        """The single mask, which it computes too, is left out of the result."""
        points = np.concatenate([points, np.zeros_like(points[:, :1])], axis=1)
        padding = np.full_like(labels[:, :1], NOT_A_POINT)
        labels = np.concatenate([labels, padding], axis=1).astype(np.float32)
        if labels.shape not in self.decoders:
            self.decoders[labels.shape] = self._decoder(*labels.shape)
        outputs = self.decoders[labels.shape].predict_on_batch(
            {"embedding": self.embedding, "points": points, "labels": labels}
        )
        masks, ratings = outputs["masks"][:, 1:], outputs["iou_pred"][:, 1:]
        return np.asarray(masks, np.float32), np.asarray(ratings, np.float32)

    def _decoder(self, prompts: int, length: int) -> Any:
        import keras

        shape = tuple(self.encoder.output.shape[1:])
        embedding = keras.Input(batch_shape=(1, *shape), name="embedding")
        points = keras.Input(batch_shape=(prompts, length, 2), name="points")
        labels = keras.Input(batch_shape=(prompts, length), name="labels")
        encoded = self.prompt_encoder(points=points, labels=labels)
        outputs = self.mask_decoder(image_embeddings=embedding, **encoded)
        return keras.Model({"embedding": embedding, "points": points, "labels": labels}, outputs)


def in_dtype(part: Any, dtype: str) -> Any:
    """A part of the model in a type, with the same weights."""
    if part.dtype_policy.name == dtype:
        return part
    fresh = type(part).from_config(part.get_config() | {"dtype": dtype})
    fresh.build()
    fresh.set_weights(part.get_weights())
    return fresh
