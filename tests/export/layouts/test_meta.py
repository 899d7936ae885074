"""Names, shapes and values of Meta's layout and of those that differ from it in details."""

import keras
import numpy as np
import pytest

from keras_sam.export.layouts import meta
from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import run_reference


def build(model, layout, **options):
    options = {"single_mask": LAYOUTS[layout].single_mask} | options
    return LAYOUTS[layout].build(model, ExportOptions(layout=layout, **options))


def shapes(specs):
    return {spec.name: spec.shape for spec in specs}


def sample(program, sizes, earlier):
    return program.sample_inputs(np.random.default_rng(0), sizes, earlier, with_stages=True)


def run(programs):
    """Run both programs on samples, and return the outputs of the decoder."""
    outputs = {}
    for program in programs:
        sizes = program.check_sizes[0]
        inputs = sample(program, sizes, outputs)
        outputs = run_reference(program, inputs, with_stages=True)
    return outputs


def test_shapes_are_metas(meta_model):
    encoder, decoder = build(meta_model, "meta")
    assert shapes(encoder.file_inputs(with_stages=True)) == {"images": (1, 3, 64, 64)}
    assert shapes(decoder.file_inputs(with_stages=True)) == {
        "image_embeddings": (1, 32, 4, 4),
        "point_coords": ("num_prompts", "num_points", 2),
        "point_labels": ("num_prompts", "num_points"),
        "mask_input": (1, 1, 16, 16),
        "has_mask_input": (1,),
        "orig_im_size": (2,),
    }
    assert list(shapes(decoder.file_outputs(with_stages=True))) == [
        *("masks", "iou_predictions", "low_res_masks"),
    ]


def test_larger_frame_scales_images_points_and_masks(meta_model):
    """A click in the middle of the same image gives the same mask in both frames."""
    masks = []
    for side in (64, 256):
        encoder, decoder = build(meta_model, "meta", frame=side)
        assert encoder.inputs[0].shape == (1, 3, side, side)
        images = np.zeros((1, 3, 64, 64), "float32")
        images[:, :, 16:48, 8:40] = 2
        images = images.repeat(side // 64, axis=2).repeat(side // 64, axis=3)
        embedding = run_reference(encoder, {"images": images}, with_stages=True)
        # The same place: pixel centers of the frames differ.
        click = (np.array([[24.5, 30.5]], "float32") + 0.5) * (side / 64) - 0.5
        inputs = {
            **embedding,
            "point_coords": click[None],
            "point_labels": np.ones((1, 1), "float32"),
            "mask_input": np.zeros((1, 1, side // 4, side // 4), "float32"),
            "has_mask_input": np.zeros(1, "float32"),
            "orig_im_size": np.array([64, 64], "float32"),
        }
        masks.append(run_reference(decoder, inputs, with_stages=True))
    assert masks[1]["low_res_masks"].shape == (1, 4, 64, 64)
    np.testing.assert_allclose(*(one["iou_predictions"] for one in masks), atol=1e-4)
    np.testing.assert_allclose(*(one["masks"] for one in masks), atol=5e-3)


def test_preprocess_takes_pixels_of_any_size(meta_model):
    encoder, _ = build(meta_model, "meta", preprocess=True)
    assert shapes(encoder.file_inputs(with_stages=True)) == {"image": ("height", "width", 3)}
    with_pixels = run((encoder,))
    image = sample(encoder, encoder.check_sizes[0], {})["image"].astype(np.uint8)
    prepared = meta_model.image_transform(image.shape[:2]).apply_image(image)
    expected = meta_model.encode_image(prepared[None])["image_embeddings"]
    expected = keras.ops.convert_to_numpy(expected)
    actual = with_pixels["image_embeddings"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)


def test_osam_sends_x(meta_model):
    encoder, decoder = build(meta_model, "osam", frame=128)
    assert shapes(encoder.inputs) == {"x": (1, 3, 128, 128)}
    assert run((encoder, decoder))["masks"].shape[:2] == (1, 1)


def test_samexporter_sends_pixels_that_fit_the_frame(meta_model):
    programs = build(meta_model, "samexporter")
    assert shapes(programs[0].file_inputs(with_stages=True)) == {
        "input_image": ("height", "width", 3)
    }
    assert run(programs)["masks"].shape[:2] == (1, 1)


def test_x_anylabeling_stacks_the_early_features(high_quality_segmenter):
    encoder, decoder = build(high_quality_segmenter, "samexporter")
    features = encoder.outputs[1].shape
    assert features == (1, 4, 4, 16)
    assert shapes(decoder.inputs)["interm_embeddings"] == (1, *features)
    assert run((encoder, decoder))["masks"].shape[:2] == (1, 1)


def test_cvat_has_a_blob_of_fixed_shape_and_the_same_masks(meta_model):
    programs = build(meta_model, "cvat")
    assert shapes(programs[0].outputs) == {"image_embeddings": (1, 256, 64, 64)}
    assert list(shapes(programs[1].file_outputs(with_stages=True))) == [
        *("masks", "iou_predictions", "low_res_masks", "xtl", "ytl", "xbr", "ybr"),
    ]
    actual = run(programs)
    expected = run(build(meta_model, "meta", single_mask=True))
    for name in ("iou_predictions", "low_res_masks"):
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-5)
    height, width = actual["masks"].shape[2:]
    assert actual["xbr"] - actual["xtl"] + 1 == width
    assert actual["ybr"] - actual["ytl"] + 1 == height


def test_cvat_refuses_larger_embeddings(meta_model, monkeypatch):
    monkeypatch.setattr(meta, "BLOB_SHAPE", (256, 2, 2))
    with pytest.raises(ValueError, match=r"the model's are larger: \(32, 4, 4\)"):
        build(meta_model, "cvat")
