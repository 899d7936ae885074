"""`RawInputModel`: a model whose `fit`, `evaluate` and `predict` prepare raw inputs."""

from typing import Any

import keras
import numpy as np

from keras_sam.models.preprocessed_data import count_samples, is_arrays, preprocess_data
from keras_sam.models.preset_model import PresetModel
from keras_sam.models.remove_empty_prompts import remove_empty_prompts
from keras_sam.models.sam_image_converter import images_to_list, size_of_images
from keras_sam.types import Size


class RawInputModel(PresetModel):
    """Base class of `SAMImageSegmenter`: applies its preprocessor to raw inputs.

    Without a preprocessor, every method is that of `keras.Model`.
    """

    preprocessor: Any  # without a default: on torch, a class attribute would hide the layer

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        *args: Any,
        validation_data: Any = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        sample_weight: Any = None,
        validation_batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Train on raw samples, see `keras.Model.fit` and the preprocessor's `call`.

        Args:
            x: Raw inputs, or a data set of `(x, y)` batches.
            y: Raw targets, unless `x` is a data set.
            batch_size: Images per batch, unless `x` is a data set. Defaults to 32.
            *args: Other positional arguments of `keras.Model.fit`.
            validation_data: `(x, y)`, or a data set of batches.
            validation_split: Fraction of the samples to validate on, the last ones.
            shuffle: If True, samples are shuffled before each epoch.
            sample_weight: Not supported by the loss.
            validation_batch_size: Images per validation batch. Defaults to `batch_size`.
            **kwargs: Other arguments of `keras.Model.fit`.

        If `x` has a method `set_epoch`, it is called with the number of each epoch before its
        batches are read.
        """
        if hasattr(x, "set_epoch"):
            args, kwargs = _add_callback(_SetEpoch(x), args, kwargs)
        if self.preprocessor is None:
            return super().fit(
                x,
                y,
                batch_size,
                *args,
                validation_data=validation_data,
                validation_split=validation_split,
                shuffle=shuffle,
                sample_weight=sample_weight,
                validation_batch_size=validation_batch_size,
                **kwargs,
            )
        if validation_split:
            (x, y), validation_data = _split(x, y, validation_split)
        if validation_data is not None:
            parts = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            size = validation_batch_size or (batch_size if len(parts) > 1 else None)
            validation_data = preprocess_data(self.preprocessor, *parts, batch_size=size)
        data = preprocess_data(
            self.preprocessor, x, y, sample_weight, batch_size=batch_size, shuffle=shuffle
        )
        return super().fit(
            data, None, None, *args, validation_data=validation_data, shuffle=False, **kwargs
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Evaluate on raw samples, see `keras.Model.evaluate` and the preprocessor's `call`."""
        is_prepared = kwargs.get("_use_cached_eval_dataset")  # by `fit`
        if self.preprocessor is None or is_prepared:
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)
        data = preprocess_data(self.preprocessor, x, y, sample_weight, batch_size=batch_size)
        return super().evaluate(data, verbose=verbose, **kwargs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Predict masks.

        Args:
            x: Raw inputs of the preprocessor: images, or a dictionary with `images` and prompts
                in pixels of the original; or a data set of batches of them.
            batch_size: Images per batch, unless `x` is a data set. Defaults to 32.
            verbose: See `keras.Model.predict`.
            steps: See `keras.Model.predict`.
            callbacks: See `keras.Model.predict`.

        Returns:
            Dictionary with `masks`, bool `(B, M, H, W)` in the original; `iou_pred` `(B, M)`;
            and `low_res_logits` `(B, M, L, L)`, which may be a mask prompt. With P prompts per
            image, there is an axis P after B. One image without a batch axis gives results
            without one. `masks` is a list if the images differ in size.
        """
        if self.preprocessor is None:
            return super().predict(remove_empty_prompts(x), batch_size, verbose, steps, callbacks)
        is_single = getattr(_images(x), "ndim", None) == 3
        if is_single:
            x = {
                name: np.asarray(value)[None]
                for name, value in _as_dict(x).items()
                if value is not None
            }
        sizes: dict[int, list[Size]] = {}

        def store_sizes(index: int, x: Any) -> None:
            sizes[index] = size_of_images(images_to_list(_images(x))[0])

        data = preprocess_data(
            lambda *batch: remove_empty_prompts(self.preprocessor(batch[0])),
            x,
            batch_size=batch_size,
            on_batch=store_sizes,
        )
        prompts = _as_dict(x) | {"images": None} if is_arrays(x) else None
        self._start_program_for(prompts)
        outputs = super().predict(data, None, verbose, steps, callbacks)
        in_order = [size for _, batch in sorted(sizes.items()) for size in batch]
        results = self._postprocess(outputs, in_order[: len(outputs["iou_pred"])])
        return {name: value[0] for name, value in results.items()} if is_single else results

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train on one raw batch, see `keras.Model.train_on_batch`."""
        if self.preprocessor is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(self.preprocessor(x, y))
        return super().train_on_batch(x, y, *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate on one raw batch, see `keras.Model.test_on_batch`."""
        if self.preprocessor is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(self.preprocessor(x, y))
        return super().test_on_batch(x, y, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """Predict one raw batch, see `predict` and `keras.Model.predict_on_batch`."""
        if self.preprocessor is None:
            return super().predict_on_batch(remove_empty_prompts(x))
        return self.predict(x, batch_size=None, verbose=0)

    def _postprocess(self, outputs: dict[str, Any], sizes: list[Size]) -> dict[str, Any]:
        """Upsample low-res logits to masks of the originals."""
        masks = [
            self.image_transform(size).postprocess_masks(logits)
            for size, logits in zip(sizes, outputs["masks"], strict=True)
        ]
        return {
            "masks": np.stack(masks) if len(set(sizes)) == 1 else masks,
            "iou_pred": outputs["iou_pred"],
            "low_res_logits": outputs["masks"],
        }


class _SetEpoch(keras.callbacks.Callback):
    """Calls `set_epoch` of a data set before Keras starts its workers."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._data.set_epoch(epoch)


def _add_callback(
    callback: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Add a callback to the arguments `epochs, verbose, callbacks, ...` of `keras.Model.fit`."""
    given = args[2] if len(args) > 2 else kwargs.get("callbacks")
    if isinstance(given, keras.callbacks.CallbackList):
        given.callbacks.append(callback)
        return args, kwargs
    callbacks = [callback, *keras.tree.flatten(given or [])]
    if len(args) > 2:
        return (*args[:2], callbacks, *args[3:]), kwargs
    return args, kwargs | {"callbacks": callbacks}


def _images(x: Any) -> Any:
    return x.get("images") if isinstance(x, dict) else x


def _as_dict(x: Any) -> dict[str, Any]:
    return dict(x) if isinstance(x, dict) else {"images": x}


def _split(x: Any, y: Any, validation_split: float) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Split samples into the first ones for training and the last ones for validation."""
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be in (0, 1), got {validation_split}")
    count = count_samples(x)
    at = int(count * (1 - validation_split))
    if not 0 < at < count:
        raise ValueError(f"validation_split {validation_split} of {count} samples leaves no part")

    def part(value: Any, rows: slice) -> Any:
        if isinstance(value, dict):
            return {name: part(one, rows) for name, one in value.items()}
        return None if value is None else value[rows]

    rows = slice(0, at), slice(at, None)
    return (part(x, rows[0]), part(y, rows[0])), (part(x, rows[1]), part(y, rows[1]))
