"""Run keras-hub's own tests of SAM and ViTDet against the classes of keras_sam.

    KERAS_BACKEND=torch python tests/keras_hub_suite.py CHECKOUT

CHECKOUT is a clone of https://github.com/keras-team/keras-hub. Its test files are copied to a
temporary folder, and the classes that they import from keras-hub are replaced by the classes of
the same name in keras_sam. The tests need the packages keras-hub and grain. Nothing is downloaded:
tests of presets are skipped.
"""

import importlib
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

MODELS = "keras_hub.src.models"
TEST_FILES = ("sam/sam_*_test.py", "vit_det/vit_det_backbone_test.py")
CLASSES = {
    "SAMBackbone": "sam.sam_backbone",
    "SAMImageConverter": "sam.sam_image_converter",
    "SAMImageSegmenter": "sam.sam_image_segmenter",
    "SAMImageSegmenterPreprocessor": "sam.sam_image_segmenter_preprocessor",
    "SAMMaskDecoder": "sam.sam_mask_decoder",
    "SAMPromptEncoder": "sam.sam_prompt_encoder",
    "ViTDetBackbone": "vit_det.vit_det_backbone",
}
INI = """[pytest]
python_files = *_test.py
markers =
    large: slow test
    extra_large: test that downloads presets
filterwarnings = ignore
"""


class Outcomes:
    """A pytest plugin that selects the tests and records their outcomes.

    Attributes:
        lines: Outcome, name and reason of each test.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # TensorFlow's test case has a method of this name, which is no test.
        items[:] = [item for item in items if item.name != "test_session"]
        for item in items:
            if item.get_closest_marker("extra_large"):
                item.add_marker(pytest.mark.skip(reason="downloads presets"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::", 1)[-1].replace("::", ".")
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.lines.append(f"skipped: {name}: {reason}")
        elif report.failed:
            reason = report.longrepr.reprcrash.message.splitlines()[0]
            self.lines.append(f"failed: {name}: {reason}")
        elif report.when == "call":
            self.lines.append(f"passed: {name}")


def replace_classes(stack: ExitStack) -> None:
    """Replace the classes of keras-hub until the stack is closed."""
    from keras_sam import layers, models

    for name, module in CLASSES.items():
        ours = getattr(models, name, None) or getattr(layers, name)
        stack.enter_context(patch.object(importlib.import_module(f"{MODELS}.{module}"), name, ours))


def run(checkout: Path) -> int:
    """Run the tests and return pytest's exit status."""
    source = checkout / MODELS.replace(".", "/")
    files = [file for pattern in TEST_FILES for file in sorted(source.glob(pattern))]
    if not files:
        raise SystemExit(f"no tests of SAM in {source}; pass a clone of keras-hub")
    outcomes = Outcomes()
    with ExitStack() as stack:
        replace_classes(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for file in files:
            shutil.copy(file, folder)
        (folder / "pytest.ini").write_text(INI)
        options = ["--import-mode=importlib", "-p", "no:cacheprovider", "-q", "--tb=short"]
        status = pytest.main([*options, str(folder)], plugins=[outcomes])
    print(*outcomes.lines, sep="\n")
    return int(status)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(run(Path(sys.argv[1])))
