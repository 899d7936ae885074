"""The house rules of the package, read from its source."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "keras_sam"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
MAX_FOLDER_LEVELS = 3
VAGUE_NAMES = {"base", "common", "core", "helpers", "misc", "utils"}

# Which folders the modules of a folder may import from, besides their own and `EVERYWHERE`.
MAY_IMPORT: dict[str, set[str]] = {
    "images": set(),
    "masks": set(),
    "layers": set(),
    "losses": {"layers"},
    "annotations": {"images", "masks"},
    "transforms": {"images", "masks"},
    "drawing": {"annotations", "images", "masks"},
    "checkpoints": {"transforms"},
    "models": {"layers", "losses", "checkpoints", "transforms"},
    "engines": {"models", "layers", "transforms"},
    "predict": {"engines", "models", "transforms", "annotations", "masks", "images", "layers"},
    "evaluate": {"predict", "annotations", "masks", "images", "models"},
    "train": {
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
    "batch": {
        "predict",
        "annotations",
        "drawing",
        "models",
        "transforms",
        "masks",
        "images",
        "engines",
    },
}
MAY_IMPORT["cli"] = {"cli", *MAY_IMPORT}
# Small modules at the root that every folder may import.
EVERYWHERE = {"errors", "files", "point_labels", "types"}
MAY_IMPORT["files"] = set()
WITHOUT_KERAS = {"annotations", "checkpoints", "drawing", "files", "images", "masks", "transforms"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def folder_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imported_modules(path: Path, source: str) -> Iterator[str]:
    """Yields the absolute dotted names that a module imports, anywhere in it."""
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
    ("place", "source"),
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
def test_a_forbidden_import_is_found(place, source):
    assert len(forbidden_imports(PACKAGE / place, source)) == 1


def test_every_folder_with_modules_is_in_the_table():
    assert {folder_of(path) for path in MODULES} - {""} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_short_shallow_and_named_after_something(path):
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
