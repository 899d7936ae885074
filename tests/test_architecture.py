"""Rules of the source tree: imports, sizes, public names and mirrored tests."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "keras_sam"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
MAX_FOLDER_LEVELS = 3
TESTS = Path(__file__).parent
VAGUE_NAMES = {"base", "common", "core", "helpers", "misc", "utils"}

# Folders from which the modules of a folder may import, besides their own and `EVERYWHERE`.
MAY_IMPORT: dict[str, set[str]] = {
    "files": set(),
    "images": set(),
    "masks": set(),
    "layers": set(),
    "losses": {"layers"},
    "annotations": {"images", "masks"},
    "transforms": {"images", "masks"},
    "drawing": {"annotations", "images", "masks"},
    "checkpoints": {"transforms"},
    "models": {"layers", "losses", "checkpoints", "transforms"},
    "engines": {"models", "layers"},
    "predict": {"engines", "models", "transforms", "annotations", "masks", "images"},
    "evaluate": {"predict", "annotations", "masks", "images"},
    "train": {
        "predict",
        "models",
        "layers",
        "losses",
        "transforms",
        "evaluate",
        "annotations",
        "masks",
        "images",
        "drawing",
    },
    "export": {"models", "engines", "layers", "transforms"},
    "batch": {"predict", "annotations", "drawing", "models", "transforms", "masks", "images"},
}
MAY_IMPORT["cli"] = {"cli", *MAY_IMPORT}
# Modules and a folder at the root that every folder may import.
EVERYWHERE = {"errors", "files", "point_labels", "types"}
WITHOUT_KERAS = {"annotations", "checkpoints", "drawing", "files", "images", "masks", "transforms"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def folder_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imported_modules(path: Path, source: str) -> Iterator[str]:
    """Yield the absolute dotted names that a module imports, anywhere in it."""
    package = ["keras_sam", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden_imports(path: Path, source: str) -> list[str]:
    folder = folder_of(path)
    if not folder:
        return []
    allowed = MAY_IMPORT[folder] | EVERYWHERE | {folder}
    roots = [name.split(".") for name in imported_modules(path, source)]
    return [
        ".".join(parts)
        for parts in roots
        if (parts[0] == "keras_sam" and (len(parts) == 1 or parts[1] not in allowed))
        or parts[0] == "keras_hub"
        or (parts[0] == "keras" and folder in WITHOUT_KERAS)
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_table(path):
    assert forbidden_imports(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("layers/x.py", "from keras_sam.models import SAMBackbone"),
        ("layers/x.py", "from ..models import SAMBackbone"),
        ("layers/x.py", "from .. import models"),
        ("losses/x.py", "from keras_sam.models import SAMImageSegmenter"),
        ("masks/x.py", "import keras"),
        ("checkpoints/x.py", "def f():\n    from keras import ops"),
        ("predict/x.py", "import keras_sam.train.warmup_cosine"),
        ("models/x.py", "import keras_hub"),
        ("train/x.py", "import keras_sam"),
    ],
)
def test_forbidden_import_is_found(path, source):
    assert len(forbidden_imports(PACKAGE / path, source)) == 1


def test_every_folder_with_modules_is_in_the_table():
    assert {folder_of(path) for path in MODULES} - {""} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_short_shallow_and_well_named(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert len(path.relative_to(PACKAGE.parent).parts) - 1 <= MAX_FOLDER_LEVELS
    assert path.stem not in VAGUE_NAMES


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of
)
def test_public_names_are_sorted_and_exist(path):
    module = importlib.import_module(".".join(path.parent.relative_to(PACKAGE.parent).parts))
    assert module.__all__ == sorted(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


# Modules without a test file of their own, with the reason.
UNTESTED = {
    "checkpoints/architectures/image_encoder.py": "dataclasses, tested by each image encoder",
    "checkpoints/architectures/layer_names.py": "names of layers, tested by each image encoder",
    "checkpoints/architectures/layer_shapes.py": "shapes of layers, tested by each architecture",
    "checkpoints/checkpoint.py": "a dataclass",
    "export/formats/export_format.py": "dataclasses, tested by each format",
    "export/layouts/layout.py": "a dataclass, tested by each layout",
    "export/options.py": "a dataclass, tested by `export_model`",
    "point_labels.py": "constants",
    "train/finetune_config.py": "a dataclass, tested by `finetune`",
}
# Test files that belong to a folder rather than to a module.
OTHER_TESTS = {
    "export/test_onnxruntime_web.py": "ONNX files in the runtime of browsers",
    "layers/test_keras_hub.py": "layers against those of keras-hub",
    "layers/test_layer_contract.py": "rules that every layer follows",
    "models/test_formats.py": "models from files of every format against transformers",
    "models/test_high_quality.py": "SAM-HQ from files of every format against transformers",
    "models/test_keras_hub.py": "presets that keras-hub writes and reads",
}


def mirrored_test(path: Path) -> Path:
    """Return the test file of a module: masks/polygon.py -> tests/masks/test_polygon.py."""
    return TESTS / path.relative_to(PACKAGE).with_name(f"test_{path.name}")


def test_each_module_has_a_mirrored_test_file():
    modules = [path for path in MODULES if path.name != "__init__.py"]
    missing = {name_of(path) for path in modules if not mirrored_test(path).exists()}
    assert missing == set(UNTESTED)


def test_each_test_file_mirrors_a_module():
    modules = {mirrored_test(path) for path in MODULES}
    folders = {path.parent for path in modules}
    tests = {path for folder in folders - {TESTS} for path in folder.glob("test_*.py")}
    assert {path.relative_to(TESTS).as_posix() for path in tests - modules} == set(OTHER_TESTS)
