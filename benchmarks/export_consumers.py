"""`python -m benchmarks export-consumers`: programs of others on exported files.

Each consumer's own inference code segments the photograph `COFFEE` with a point and with a box. Its
masks are compared with those of `SAMPredictor` without mask refinement. The first row has the same
files with our own resizing of the image. Consumers that are not installed are skipped:

pip install samexporter osam x-anylabeling-cvhub
npm install --prefix runs/node --ignore-scripts @huggingface/transformers
"""

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.call_in_process import call_in_process
from benchmarks.console import print_table
from benchmarks.sample_photos import COFFEE, read_photo

POINT, BOX = (366, 285), (175, 18, 412, 310)  # on the spoon, and around the cup
PROMPTS = ("point", "box")
MARKS = {
    "point": {"type": "point", "data": POINT, "label": 1},
    "box": {"type": "rectangle", "data": BOX},
}
X_ANYLABELING_SIZE = (684, 1024)  # of X-AnyLabeling's configurations of SAM
SCRIPT = Path(__file__).parent / "export_consumers.mjs"


def main(
    preset: Annotated[str, typer.Option(help="Preset to export.")] = "sam_tiny_synthetic",
    output: Annotated[Path, typer.Option(help="Folder of the exports.")] = Path("runs/consumers"),
    node: Annotated[Path, typer.Option(help="Folder of the npm packages.")] = Path("runs/node"),
) -> None:
    """Compare the masks of other programs with those of the predictor."""
    torch = {"KERAS_BACKEND": "torch"}
    ours = call_in_process(predict_ours, {"preset": preset}, environment=torch)
    rows = []
    for name, (layout, is_installed, _) in CONSUMERS.items():
        if not is_installed(node):
            rows.append((name, layout, "not installed", ""))
            continue
        files = output / layout
        if not (files / "export.json").exists():
            command = ["keras-sam", "export", preset, str(files), "--layout", layout]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        arguments = {"name": name, "files": str(files), "node": str(node)}
        theirs = call_in_process(predict_theirs, arguments)
        agreement = [
            f"{_iou(ours[prompt], theirs[prompt]):.3f}" if prompt in theirs else ""
            for prompt in PROMPTS
        ]
        rows.append((name, layout, *agreement))
    columns = "consumer", "layout", "IoU, point", "IoU, box"
    print_table(f"{preset}, masks of others", columns, rows)


def predict_ours(preset: str) -> dict[str, Any]:
    """Return the runs of the predictor's masks: the best of three by a point, one by a box."""
    from keras_sam import SAMPredictor
    from keras_sam.models import SAMImageSegmenter

    predictor = SAMPredictor(
        SAMImageSegmenter.from_preset(preset, dtype="float32"),
        mask_refiner=None,  # exported graphs have none
    )
    predictor.set_image(read_photo())
    masks, scores, _ = predictor.predict(np.array([POINT]), np.array([1]))
    best = masks[np.argmax(scores)]
    masks, _, _ = predictor.predict(box=np.array(BOX), multimask_output=False)
    return {"point": _to_runs(best), "box": _to_runs(masks[0])}


def predict_theirs(name: str, files: str, node: str) -> dict[str, Any]:
    """Return the runs of a consumer's masks."""
    _, _, predict = CONSUMERS[name]
    return {prompt: _to_runs(mask) for prompt, mask in predict(Path(files), Path(node)).items()}


def predict_samexporter(files: Path, node: Path) -> dict[str, np.ndarray]:
    """Masks of samexporter's `SegmentAnythingONNX`."""
    from samexporter.sam_onnx import SegmentAnythingONNX

    model = SegmentAnythingONNX(str(files / "encoder.onnx"), str(files / "decoder.onnx"))
    embedding = model.encode(read_photo()[..., ::-1])  # BGR
    return {prompt: model.predict_masks(embedding, [MARKS[prompt]])[0, 0] > 0 for prompt in PROMPTS}


def predict_x_anylabeling(files: Path, node: Path) -> dict[str, np.ndarray]:
    """Masks of X-AnyLabeling's `SegmentAnythingONNX`, without its window."""
    engine = _load_module("anylabeling", "services/auto_labeling/engines/build_onnx_engine.py")
    sam = _load_module("anylabeling", "services/auto_labeling/__base__/sam.py")
    sessions = [
        engine.OnnxBaseModel(str(files / f"{part}.onnx")) for part in ("encoder", "decoder")
    ]
    model = sam.SegmentAnythingONNX(*sessions, 1024, X_ANYLABELING_SIZE)
    embedding = model.encode(read_photo())
    return {prompt: model.predict_masks(embedding, [MARKS[prompt]])[0, 0] > 0 for prompt in PROMPTS}


def predict_osam(files: Path, node: Path) -> dict[str, np.ndarray]:
    """Masks of osam's `Sam`, which has points only; the corners of the box have labels 2 and 3."""
    import onnxruntime
    from osam import types
    from osam._models.sam._models import Sam

    class LocalSam(Sam):
        def __init__(self) -> None:  # without a download
            self._inference_sessions = {
                part: onnxruntime.InferenceSession(files / f"{part}.onnx")
                for part in ("encoder", "decoder")
            }

    model = LocalSam()
    embedding = model.encode_image(read_photo())
    points = {"point": ([POINT], [1]), "box": ([BOX[:2], BOX[2:]], [2, 3])}
    return {
        prompt: model._generate_mask_from_image_embedding(
            embedding,
            types.Prompt(points=np.array(coords, np.float32), point_labels=np.array(labels)),
        )
        for prompt, (coords, labels) in points.items()
    }


def predict_onnxruntime(files: Path, node: Path) -> dict[str, np.ndarray]:
    """Masks of ONNX Runtime on the files for transformers.js, with our image transform."""
    import onnxruntime

    from keras_sam.export.samples import normalize_photo
    from keras_sam.transforms import ImageTransform

    encoder, decoder = (
        onnxruntime.InferenceSession(files / "onnx" / f"{part}.onnx")
        for part in ("vision_encoder", "prompt_encoder_mask_decoder")
    )
    photo, side = read_photo(), encoder.get_inputs()[0].shape[2]
    transform = ImageTransform(photo.shape[:2], (side, side))
    embeddings = encoder.run(None, {"pixel_values": normalize_photo(photo, side)})
    scores, masks = decoder.run(
        None,
        {
            "input_points": transform.apply_points(np.array([POINT]))[None, None],
            "input_labels": np.ones((1, 1, 1), np.int64),
            "image_embeddings": embeddings[0],
            "image_positional_embeddings": embeddings[1],
        },
    )
    best = masks[0, 0, np.argmax(scores[0, 0])]
    return {"point": transform.postprocess_masks(best)}


def predict_transformers_js(files: Path, node: Path) -> dict[str, np.ndarray]:
    """Masks of transformers.js, whose models take points only."""
    with tempfile.TemporaryDirectory() as folder:
        script = node / SCRIPT.name  # where its imports are found
        shutil.copy(SCRIPT, script)
        output = Path(folder) / "masks.json"
        arguments = [files.absolute(), COFFEE, json.dumps(POINT), output]
        subprocess.run(["node", script, *map(str, arguments)], check=True)
        content = json.loads(output.read_text())
    masks = np.array(content["masks"], bool).reshape(content["dims"])
    return {"point": masks[0, np.argmax(content["scores"])]}


def _has_module(name: str) -> Callable[[Path], bool]:
    return lambda node: importlib.util.find_spec(name) is not None


def _has_transformers_js(node: Path) -> bool:
    return (node / "node_modules" / "@huggingface" / "transformers").exists()


# Name -> layout, function that tells if it is installed, and function that returns its masks.
CONSUMERS: dict[str, tuple[str, Callable[[Path], bool], Callable[[Path, Path], Any]]] = {
    "ONNX Runtime": ("transformers", _has_module("onnxruntime"), predict_onnxruntime),
    "samexporter": ("samexporter", _has_module("samexporter"), predict_samexporter),
    "X-AnyLabeling": ("samexporter", _has_module("anylabeling"), predict_x_anylabeling),
    "osam": ("osam", _has_module("osam"), predict_osam),
    "transformers.js": ("transformers", _has_transformers_js, predict_transformers_js),
}


def _load_module(package: str, path: str) -> ModuleType:
    """Load one file of a package, without the imports of the package itself."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations is not None
    file = os.path.join(found.submodule_search_locations[0], path)
    spec = importlib.util.spec_from_file_location(Path(path).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _to_runs(mask: np.ndarray) -> list[int]:
    """Return the shape of a mask, and the positions where it changes."""
    flat = np.concatenate([[False], mask.ravel(), [False]])
    return [*mask.shape, *np.flatnonzero(flat[1:] != flat[:-1]).tolist()]


def _from_runs(runs: list[int]) -> np.ndarray:
    height, width, *changes = runs
    steps = np.zeros(height * width + 1, np.int32)
    steps[changes[::2]], steps[changes[1::2]] = 1, -1
    return np.cumsum(steps)[:-1].reshape(height, width).astype(bool)


def _iou(first: list[int], second: list[int]) -> float:
    one, other = _from_runs(first), _from_runs(second)
    return float((one & other).sum() / max(1, (one | other).sum()))
