"""Stages as small graphs on ONNX Runtime, compared with Pillow and Meta's postprocessing."""

import numpy as np
import onnx_ir
import onnxruntime
import pytest

from keras_sam.export.formats.onnx_model import IR_VERSION, OPSET
from keras_sam.export.onnx_stages import cropped_mask_stage, image_stage, mask_stage
from keras_sam.export.program import ArraySpec


def run(stage, arrays, others=()):
    """Run a stage alone. `others` are inputs that a mask decoder would compute."""
    inputs = {}
    for spec in (*stage.inputs, *others):
        inputs[spec.name] = onnx_ir.Value(
            name=spec.name,
            shape=onnx_ir.Shape(spec.shape),
            type=onnx_ir.TensorType(onnx_ir.DataType.from_numpy(np.dtype(spec.dtype))),
        )
    tape = onnx_ir.tape.Tape()
    outputs = stage.add(tape, dict(inputs))
    outputs = {spec.name: outputs[spec.name] for spec in stage.outputs}
    for spec in stage.outputs:
        outputs[spec.name].name = spec.name
        dtype = onnx_ir.DataType.from_numpy(np.dtype(spec.dtype))
        outputs[spec.name].shape, outputs[spec.name].dtype = onnx_ir.Shape(spec.shape), dtype
    graph = onnx_ir.Graph(
        list(inputs.values()),
        list(outputs.values()),
        nodes=tape.nodes,
        opset_imports={"": OPSET},
        name="stage",
    )
    model = onnx_ir.to_proto(onnx_ir.Model(graph, ir_version=IR_VERSION))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return dict(zip(outputs, session.run(None, arrays), strict=True))


def image_spec(side):
    return ArraySpec("images", (1, 3, side, side))


@pytest.mark.parametrize("size", [(210, 512), (400, 30), (20, 33)])
def test_images_are_resized_as_pillow_does(size):
    stage = image_stage(64, resize=True, name="image", target=image_spec(64))
    pixels = stage.inputs[0].sample(np.random.default_rng(0), (*size, 3))
    (actual,) = run(stage, {"image": pixels}).values()
    expected = stage.reference({"image": pixels})["images"]
    # One gray level is 0.017.
    assert np.abs(actual - expected).max() < 0.02
    assert np.abs(actual - expected).mean() < 1e-3


def test_images_are_padded_without_resizing():
    stage = image_stage(64, resize=False, name="pixels", target=image_spec(64))
    pixels = stage.inputs[0].sample(np.random.default_rng(0), (40, 64, 3))
    (actual,) = run(stage, {"pixels": pixels}).values()
    np.testing.assert_allclose(actual, stage.reference({"pixels": pixels})["images"], atol=1e-5)
    assert not actual[:, :, 40:].any()


@pytest.mark.parametrize("size", [(45, 80), (130, 70)])
def test_masks_get_the_size_of_the_image(size):
    masks = ArraySpec("low_res_masks", ("num_prompts", 4, 16, 16))
    stage = mask_stage(64, masks, ())
    arrays = {
        "low_res_masks": np.random.default_rng(0).normal(size=(2, 4, 16, 16)).astype("float32"),
        "orig_im_size": np.array(size, "float32"),
    }
    (actual,) = run(stage, arrays, (masks,)).values()
    assert actual.shape == (2, 4, *size)
    np.testing.assert_allclose(actual, stage.reference(arrays)["masks"], atol=1e-5)


def test_cropped_mask_has_the_box_of_its_pixels():
    masks = ArraySpec("low_res_masks", (1, 1, 16, 16))
    stage = cropped_mask_stage(64, masks, ())
    logits = np.full((1, 1, 16, 16), -4, "float32")
    logits[..., 4:7, 9:14] = 4
    arrays = {"low_res_masks": logits, "orig_im_size": np.array([64, 64], "float32")}
    actual = run(stage, arrays, (masks,))
    corners = [actual[name].tolist() for name in ("xtl", "ytl", "xbr", "ybr")]
    assert corners == [[36], [16], [55], [27]]
    assert actual["masks"].dtype == np.uint8
    corner = np.ix_([0, 11], [0, 19])
    expected_mask = np.full((12, 20), 255)
    expected_mask[corner] = 0
    np.testing.assert_array_equal(actual["masks"][0, 0], expected_mask)
    expected = stage.reference(arrays)
    for name, array in actual.items():
        np.testing.assert_array_equal(array, expected[name])
