"""`ExportFormat`: one format of files, with its own runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program


@dataclass(frozen=True)
class LoadedProgram:
    """An exported file in its own runtime.

    Attributes:
        shapes: Shape of each input by name. Axes whose length is not fixed are `None`.
        run: Function from inputs by name to outputs by name.
    """

    shapes: Mapping[str, tuple[int | None, ...]]
    run: Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class ExportFormat:
    """A format of exported files.

    Attributes:
        name: Name of the format.
        backend: Keras backend that the export needs.
        weights: Types that stored weights may have, the default first.
        packages: Packages that the export needs besides the backend.
        write: Function that writes programs into a directory. Takes the programs, the options and
            the directory, and returns the paths of the files that each program is loaded from.
        load: Function that loads a program. Takes the program and the path of its file.
        with_stages: If True, files have the stages before and after the functions.
        is_static: If True, all shapes are fixed.
    """

    name: str
    backend: str
    weights: tuple[str, ...]
    packages: tuple[str, ...]
    write: Callable[[tuple[Program, ...], ExportOptions, Path], list[Path]]
    load: Callable[[Program, Path], LoadedProgram]
    with_stages: bool = False
    is_static: bool = False
