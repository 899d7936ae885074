"""Run the code of README and docs.

A fence with "no-run" is not run. Its commands must still exist, with their options.
"""

import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import rasterio
import typer
from affine import Affine
from typer.testing import CliRunner

from keras_sam.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def fences(page: Path, language: str) -> list[tuple[str, bool]]:
    """Return the code of each fence in a language, and whether it is run."""
    return [
        (re.sub(rf"^{match[1]}", "", match[4], flags=re.MULTILINE), "no-run" not in match[3])
        for match in FENCE.finditer(page.read_text())
        if match[2] == language
    ]


def commands(page: Path) -> list[tuple[list[str], bool]]:
    """Return the arguments of each `keras-sam` command in shell fences, and whether it is run."""
    return [
        (shlex.split(line, comments=True)[1:], is_run)
        for code, is_run in fences(page, "sh")
        for line in code.replace("\\\n", " ").splitlines()
        if line.startswith("keras-sam ")
    ]


def page_name(page: Path) -> str:
    return page.name


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Current directory with the images that the pages use."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "keras_sam" / "assets" / "coffee.jpg", "photo.jpg")
    Path("photos").mkdir()
    for name in ("coffee.jpg", "rocket.jpg"):
        shutil.copy(ROOT / "keras_sam" / "assets" / name, Path("photos", name))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 120, 160), dtype=np.uint8)
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000)
    options = {"count": 3, "dtype": "uint8", "crs": "EPSG:32633", "transform": transform}
    with rasterio.open("aerial.tif", "w", "GTiff", 160, 120, **options) as file:
        file.write(pixels)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_blocks_run(page, workspace):
    namespace: dict[str, object] = {}
    for code, is_run in fences(page, "python"):
        program = compile(code, f"{page.name}", "exec")
        if is_run:
            exec(program, namespace)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_run(page, workspace):
    for arguments, is_run in commands(page):
        if is_run:
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{arguments}: {result.output}{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_and_their_options_exist(page):
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    for (name, *arguments), _ in commands(page):
        options = {option for param in group.commands[name].params for option in param.opts}
        options |= {
            option for param in group.commands[name].params for option in param.secondary_opts
        }
        used = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
        assert used <= options | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"`make ([a-z]+)", page.read_text()))
    assert used <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_exist(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []
