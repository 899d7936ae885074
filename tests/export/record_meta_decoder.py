"""Record Meta's own ONNX export of a small random model, for `test_onnx_model.py`.

Needs Meta's package: `pip install segment-anything torchvision onnx onnxruntime`. Writes to
`tests/export/meta_decoder/`:

python -m tests.export.record_meta_decoder
"""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "meta_decoder"
IMAGE_SIZE, PATCH_SIZE, WIDTH = 64, 16, 32
GRID = IMAGE_SIZE // PATCH_SIZE
# Points, labels, weight of the mask input, and size of the original image, of each case.
CASES = (
    ([[20.5, 11.0], [0.0, 0.0]], [1, -1], 0.0, (45, 80)),
    ([[3.0, 8.0], [41.0, 30.5], [9.0, 40.0]], [2, 3, 0], 1.0, (130, 70)),
)


def build_model() -> Any:
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        embed_dim=16,
        depth=2,
        num_heads=2,
        out_chans=WIDTH,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1,),
    )
    prompts = PromptEncoder(WIDTH, (GRID, GRID), (IMAGE_SIZE, IMAGE_SIZE), mask_in_chans=4)
    transformer = TwoWayTransformer(depth=1, embedding_dim=WIDTH, num_heads=8, mlp_dim=48)
    decoder = MaskDecoder(
        transformer_dim=WIDTH, transformer=transformer, iou_head_depth=3, iou_head_hidden_dim=16
    )
    model = Sam(encoder, prompts, decoder).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = max(1, parameter[0].numel()) ** -0.5 if parameter.ndim > 1 else 0.1
            is_gain = "norm" in name and name.endswith("weight")
            parameter.copy_(torch.randn_like(parameter) * scale + (1.0 if is_gain else 0.0))
    return model


def inputs_of(case: int) -> dict[str, np.ndarray]:
    points, labels, weight, size = CASES[case]
    random = np.random.default_rng(case)
    return {
        "image_embeddings": random.normal(size=(1, WIDTH, GRID, GRID)).astype(np.float32),
        "point_coords": np.array([points], np.float32),
        "point_labels": np.array([labels], np.float32),
        "mask_input": 4 * random.normal(size=(1, 1, 4 * GRID, 4 * GRID)).astype(np.float32),
        "has_mask_input": np.array([weight], np.float32),
        "orig_im_size": np.array(size, np.float32),
    }


def export(model: Any, path: Path, *, case: int, single_mask: bool) -> Any:
    """Export as Meta's `scripts/export_onnx_model.py` does, and load the file.

    The file is traced with the inputs of a case and is right for them only, since Meta's code
    fixes the crop of the masks to the ratio of the example's image.
    """
    import onnxruntime
    import torch
    from segment_anything.utils.onnx import SamOnnxModel

    names = ["masks", "iou_predictions", "low_res_masks"]
    axes = {"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}}
    example = inputs_of(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            SamOnnxModel(model, return_single_mask=single_mask).eval(),
            tuple(map(torch.from_numpy, example.values())),
            path,
            input_names=list(example),
            output_names=names,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    return onnxruntime.InferenceSession(path)


def main() -> None:
    from safetensors.torch import save_file

    model = build_model()
    FOLDER.mkdir(exist_ok=True)
    save_file(model.state_dict(), FOLDER / "model.safetensors")
    arrays: dict[str, np.ndarray] = {}
    signature: dict[str, Any] = {}
    for single_mask in (False, True):
        for case in range(len(CASES)):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "decoder.onnx"
                session = export(model, path, case=case, single_mask=single_mask)
            outputs = session.run(None, inputs_of(case))
            for value, output in zip(session.get_outputs(), outputs, strict=True):
                arrays[f"{single_mask}/{case}/{value.name}"] = output
        for kind, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            signature[kind] = [(value.name, value.type) for value in values]
    np.savez_compressed(FOLDER / "outputs.npz", **arrays)
    (FOLDER / "signature.json").write_text(json.dumps(signature, indent=2) + "\n")


if __name__ == "__main__":
    main()
