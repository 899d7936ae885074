import numpy as np
import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import DecodedImage
from keras_sam.batch.image_processor import ImageProcessor
from keras_sam.batch.image_result import ErrorInfo
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
from keras_sam.predict.sam_predictor import SAMPredictor
from tests.batch.sample_results import PROVENANCE

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
POINT, TWO_POINTS, BOX = [[10, 12]], [[10, 12], [30, 20]], [5, 6, 30, 35]
PROMPTS = {"points": [POINT, TWO_POINTS, None], "boxes": [None, None, BOX]}


@pytest.fixture(scope="module")
def model(preset):
    return SAMImageSegmenter.from_preset(str(preset))


@pytest.fixture(scope="module")
def clipping_model(preset):
    """A model whose preset clips masks to the box."""
    model = SAMImageSegmenter.from_preset(str(preset))
    model.inference_config = {"mask_refiner": {"box_constraint": "clip"}}
    return model


@pytest.fixture(scope="module")
def process(model, settings):
    processor = ImageProcessor(model, settings, provenance=PROVENANCE)
    return lambda **prompts: processor.process(decoded_image(**prompts))


def decoded_image(**prompts):
    return DecodedImage(BatchImage("a", "a.png", **prompts), 0.5, PIXELS)


def test_image_without_prompts_has_the_masks_of_the_generator(process, model, settings):
    result = process()
    generator = SAMMaskGenerator(model, settings.generator, output_mode="coco_rle")
    records = generator.generate(PIXELS)
    assert [mask.record for mask in result.masks] == records
    assert {mask.prompt_index for mask in result.masks} == {None}
    assert (result.image_id, result.path, result.size) == ("a", "a.png", (40, 50))
    assert (result.provenance, result.error) == (PROVENANCE, None)


def test_result_has_the_time_of_each_step(process):
    seconds = process().seconds
    assert seconds.decode == 0.5
    assert seconds.encode > 0
    assert seconds.generate > 0


@pytest.mark.parametrize("model_fixture", ["model", "clipping_model"])
def test_prompts_have_the_masks_of_the_predictor(request, settings, model_fixture):
    model = request.getfixturevalue(model_fixture)
    processor = ImageProcessor(model, settings, provenance=PROVENANCE)
    result = processor.process(decoded_image(**PROMPTS))
    assert [mask.prompt_index for mask in result.masks] == [0, 0, 0, 1, 2]
    predictor = SAMPredictor(model)
    predictor.set_image(PIXELS)
    arguments = [
        {"point_coords": POINT, "point_labels": [1]},
        {"point_coords": TWO_POINTS, "point_labels": [1, 1], "multimask_output": False},
        {"box": BOX, "multimask_output": False},
    ]
    expected = []
    for prompt in arguments:
        masks, iou_predictions, _ = predictor.predict(**prompt)
        order = np.argsort(-iou_predictions)
        expected += zip(masks[order], iou_predictions[order], strict=True)
    for mask, (pixels, predicted_iou) in zip(result.masks, expected, strict=True):
        np.testing.assert_array_equal(coco_rle_to_mask(mask.record["segmentation"]), pixels)
        assert mask.record["predicted_iou"] == pytest.approx(predicted_iou, rel=1e-4)
    assert result.masks[4].record["point_coords"] == [[17.5, 20.5]]


@pytest.mark.parametrize(("multimask_output", "count"), [(True, 9), (False, 3), (None, 5)])
def test_multimask_output_sets_the_number_of_masks(model, multimask_output, count):
    settings = BatchSettings(multimask_output=multimask_output)
    processor = ImageProcessor(model, settings, provenance=PROVENANCE)
    assert len(processor.process(decoded_image(**PROMPTS)).masks) == count


def test_more_prompts_than_a_batch_of_the_predictor(process):
    points = [[[index % 50, index % 40]] for index in range(40)]
    together = process(points=points).masks
    assert [mask.prompt_index for mask in together] == [i for i in range(40) for _ in range(3)]
    for index in (0, 39):
        alone = process(points=[points[index]]).masks
        for first, second in zip(together[3 * index : 3 * index + 3], alone, strict=True):
            assert first.record["segmentation"] == second.record["segmentation"]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [({"boxes": "[[1, 2"}, "boxes must be JSON"), ({"points": [[[1000, 2]]]}, "outside the image")],
)
def test_wrong_prompts_are_an_error_of_their_image(process, prompts, message):
    result = process(**prompts)
    assert result.error.error_type == "ValueError"
    assert message in result.error.message
    assert (result.masks, result.size) == ((), (40, 50))
    assert process().error is None


def test_decoding_error_becomes_the_error_of_the_result(model, settings):
    processor = ImageProcessor(model, settings, provenance=PROVENANCE)
    error = ErrorInfo("ImageError", "the file is truncated")
    result = processor.process(DecodedImage(BatchImage("a", "a.png"), 0.5, error=error))
    assert (result.error, result.masks, result.size) == (error, (), None)
    assert (result.seconds.decode, result.seconds.encode) == (0.5, None)


def test_processors_share_programs(model, settings):
    first = ImageProcessor(model, settings, provenance=PROVENANCE)
    second = ImageProcessor(model, settings, provenance=PROVENANCE, shared_with=first)
    expected = first.process(decoded_image()).masks
    num_programs = first.predictor.engine.num_programs
    assert second.process(decoded_image()).masks == expected
    assert first.predictor.engine.num_programs == num_programs


def test_stability_score_offset_applies_to_prompts(model):
    def scores(offset):
        settings = BatchSettings(generator=GeneratorConfig(stability_score_offset=offset))
        processor = ImageProcessor(model, settings, provenance=PROVENANCE)
        masks = processor.process(decoded_image(**PROMPTS)).masks
        return [mask.record["stability_score"] for mask in masks]

    assert scores(0.01) != scores(1.0)
