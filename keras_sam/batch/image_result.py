"""`ImageResult`: the masks of an image of a batch, or an error."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.types import Size

MAX_MESSAGE_LENGTH = 500


@dataclass(frozen=True)
class ErrorInfo:
    """An exception, as it is stored and sent between processes.

    Attributes:
        error_type: Class name of the exception.
        message: Message of the exception, on one line.
    """

    error_type: str
    message: str

    @classmethod
    def from_exception(cls, exception: BaseException) -> "ErrorInfo":
        """Describe an exception."""
        return cls(type(exception).__name__, one_line(exception))


@dataclass(frozen=True)
class Provenance:
    """Model and package versions that produced a result.

    Attributes:
        preset: Preset, as it was requested.
        model_hash: Hash of the model's weights and config, see `load_processors.model_hash`.
        keras_sam: Version of this package.
        keras: Version of Keras.
        backend: Name of the Keras backend.
        backend_version: Version of the backend.
        numpy: Version of NumPy.
        pillow: Version of Pillow.
    """

    preset: str
    model_hash: str
    keras_sam: str
    keras: str
    backend: str
    backend_version: str
    numpy: str
    pillow: str


@dataclass(frozen=True)
class BatchMask:
    """A mask of an image of a batch.

    Attributes:
        record: Mask as a compressed COCO RLE, with its scores.
        prompt_index: Index of the prompt, or `None` for automatic mask generation.
    """

    record: MaskRecord
    prompt_index: int | None = None


@dataclass(frozen=True)
class StepSeconds:
    """Time taken by each step, in seconds. `None` for steps that did not run.

    Attributes:
        decode: Reading the file into pixels.
        encode: Resizing and encoding the image and its crops.
        generate: Everything after the image encoder, from prompts to RLEs.
    """

    decode: float | None = None
    encode: float | None = None
    generate: float | None = None


@dataclass(frozen=True)
class ImageResult:
    """The masks of an image, or an error.

    Attributes:
        image_id: Name of the image in the table.
        path: Path of the file.
        provenance: Model and package versions.
        size: `(height, width)` in pixels, or `None` if the image was not decoded.
        masks: Masks in the order of the generator or of the prompts.
        error: Error, or `None`.
        seconds: Time taken by each step.
        finished_at: Time of completion, in UTC.
    """

    image_id: str
    path: str
    provenance: Provenance
    size: Size | None = None
    masks: tuple[BatchMask, ...] = ()
    error: ErrorInfo | None = None
    seconds: StepSeconds = field(default_factory=StepSeconds)
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def nbytes(self) -> int:
        """Approximate size of the rows in memory, in bytes."""
        return 500 + sum(100 + len(mask.record["segmentation"]["counts"]) for mask in self.masks)


def one_line(exception: BaseException) -> str:
    """Return the message of an exception on one line, truncated to 500 characters."""
    text = " ".join(str(exception).split()) or type(exception).__name__
    if len(text) <= MAX_MESSAGE_LENGTH:
        return text
    return text[: MAX_MESSAGE_LENGTH - 3] + "..."
