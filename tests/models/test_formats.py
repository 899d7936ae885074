"""Files with Meta's tensor names give the outputs of transformers."""

import keras
import numpy as np
import pytest

from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD
from tests.checkpoints.meta_names import to_meta_name
from tests.models.transformers_sam import DECODER, build_sam

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")


@pytest.fixture(scope="module")
def theirs():
    return build_sam()


@pytest.fixture(scope="module")
def meta_tensors(theirs):
    return {to_meta_name(name): x.contiguous() for name, x in theirs.state_dict().items()}


def load_segmenter(preset) -> SAMImageSegmenter:
    """Load a model of prepared inputs."""
    return SAMImageSegmenter.from_preset(preset, preprocessor=None)


def assert_equal_outputs(ours, theirs):
    import torch

    images = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    points = np.array([[[[10.0, 20.0], [0.0, 0.0]]]], "float32")
    labels = np.array([[[1, -1]]], "int32")
    pixels = (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        expected = theirs(
            pixel_values=torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32),
            input_points=torch.tensor(points[:, :, :1]),
            input_labels=torch.tensor(labels[:, :, :1]),
        )
    outputs = ours.decode(ours.encode_image(images), points=points, labels=labels)
    masks, iou_predictions = (
        keras.ops.convert_to_numpy(outputs[name]) for name in ("masks", "iou_pred")
    )
    np.testing.assert_allclose(masks[:, :, 1:], expected.pred_masks, atol=1e-4)
    np.testing.assert_allclose(iou_predictions[:, :, 1:], expected.iou_scores, atol=1e-4)


def test_a_pytorch_file(theirs, meta_tensors, tmp_path):
    import torch

    torch.save(meta_tensors, tmp_path / "sam.pth")
    assert_equal_outputs(load_segmenter(tmp_path / "sam.pth"), theirs)


def test_a_safetensors_file(theirs, meta_tensors, tmp_path):
    from safetensors.torch import save_file

    save_file(meta_tensors, tmp_path / "sam.safetensors")
    assert_equal_outputs(load_segmenter(tmp_path / "sam.safetensors"), theirs)


@pytest.mark.filterwarnings("default::FutureWarning")
def test_transformers_loads_a_converted_file(theirs, meta_tensors, tmp_path):
    """Converting Meta's file gives exactly the model that its tensors came from."""
    import torch
    from safetensors.torch import save_file
    from transformers import SamImageProcessor, SamModel

    save_file(meta_tensors, tmp_path / "sam.safetensors")
    convert_checkpoint(tmp_path / "sam.safetensors", tmp_path / "theirs", to="transformers")
    again, report = SamModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(report.values()), report
    assert again.config.mask_decoder_config.layer_norm_eps == DECODER["layer_norm_eps"]
    expected = theirs.state_dict()
    assert set(again.state_dict()) == set(expected)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    processor = SamImageProcessor.from_pretrained(tmp_path / "theirs")
    assert processor.pad_size == {"height": 64, "width": 64}


def test_transformers_prepares_images_in_the_same_way(meta_tensors, tmp_path):
    """Images that are not resized are equal except for rounding."""
    from safetensors.torch import save_file
    from transformers import AutoImageProcessor, AutoProcessor

    save_file(meta_tensors, tmp_path / "sam.safetensors")
    directory = tmp_path / "theirs"
    convert_checkpoint(tmp_path / "sam.safetensors", directory, to="transformers")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = (ImageTransform((64, 64), (64, 64)).apply_image(image) - PIXEL_MEAN) / PIXEL_STD
    prepared = AutoImageProcessor.from_pretrained(directory)(image, return_tensors="np")
    pixels = prepared["pixel_values"][0].transpose(1, 2, 0)
    np.testing.assert_allclose(pixels, expected, atol=1e-5)
    box = AutoProcessor.from_pretrained(directory)(
        np.zeros((32, 128, 3), np.uint8), input_boxes=[[[0, 0, 64, 16]]], return_tensors="np"
    )["input_boxes"]
    transform = ImageTransform((32, 128), (64, 64))
    np.testing.assert_allclose(np.ravel(box), transform.apply_boxes([0, 0, 64, 16]))


def test_a_preset_converts_to_every_format_and_back(theirs, meta_tensors, tmp_path):
    import torch

    torch.save(meta_tensors, tmp_path / "sam.pth")
    load_segmenter(tmp_path / "sam.pth").save_to_preset(tmp_path / "keras")
    for path, to in (("hub", "transformers"), ("sam.safetensors", "meta")):
        convert_checkpoint(tmp_path / "keras", tmp_path / path, to=to)
        assert_equal_outputs(load_segmenter(tmp_path / path), theirs)
