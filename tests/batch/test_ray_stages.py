from dataclasses import dataclass

import numpy as np

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.ray_stages import (
    RayProcessor,
    decode_images,
    from_rows,
    to_rows,
    write_results,
)
from keras_sam.batch.table_parts import finished_images
from tests.batch.sample_results import failed_result, good_result


@dataclass
class Ragged:
    prompts: list


def test_rows_keep_any_value():
    values = [Ragged([[1, 2], None]), Ragged([])]
    assert from_rows(to_rows(values)) == values


def test_decode_images_keeps_order_and_errors(images):
    rows = to_rows([BatchImage("a", str(images / "00.png")), BatchImage("b", "missing.png")])
    first, second = from_rows(decode_images(rows, max_pixels=10_000))
    assert (first.image.id, first.pixels.shape) == ("a", (30, 50, 3))
    assert (second.image.id, second.error.error_type) == ("b", "FileNotFoundError")
    (large,) = from_rows(decode_images(rows.slice(0, 1), max_pixels=100))
    assert large.error.error_type == "TooManyPixelsError"
    assert isinstance(first.pixels, np.ndarray)


def test_write_results_writes_a_part(tmp_path):
    rows = to_rows([good_result("a"), failed_result("b")])
    (part,) = from_rows(write_results(rows, staging=str(tmp_path)))
    assert (part.images, part.errors, part.masks) == (2, 1, 2)
    assert finished_images(tmp_path) == {"a", "b"}


def test_processor_converts_decoded_images_to_results(fake_workers, images):
    rows = to_rows([BatchImage("a", str(images / "00.png")), BatchImage("b", "missing.png")])
    processor = RayProcessor(BatchSettings())
    first, second = from_rows(processor(decode_images(rows, max_pixels=10_000)))
    assert (first.image_id, len(first.masks), first.error) == ("a", 3, None)
    assert (second.image_id, second.error.error_type) == ("b", "FileNotFoundError")
