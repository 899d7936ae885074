"""The check of exported files, with runtimes that make mistakes."""

from pathlib import Path

import numpy as np
import pytest

from keras_sam.export.check import ExportCheckError, check_program
from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.program import ArraySpec, Program
from keras_sam.export.samples import uniform

PROGRAM = Program(
    "double",
    (ArraySpec("x", ("n", 4), sample=uniform(-1, 1)),),
    (ArraySpec("masks", ("n", 4)), ArraySpec("scores", ("n", 4))),
    lambda x: (2 * x, x + 3),
    (),
    sizes={"n": 2},
    check_sizes=({"n": 1}, {"n": 3}),
)


def check(run, *, shapes=None, weights="float32", is_static=False):
    def load(program, path):
        return LoadedProgram(shapes or {"x": (None, 4)}, run)

    format = ExportFormat(
        "toy", "torch", ("float32",), (), lambda *args: [], load, is_static=is_static
    )
    return check_program(format, PROGRAM, Path("double"), weights=weights, earlier={})


def exact(arrays):
    return {"masks": 2 * arrays["x"], "scores": arrays["x"] + 3}


def test_exact_file_has_no_difference():
    masks, scores = check(exact)
    assert (masks.relative_error, masks.agreement) == (0, 1)
    assert (scores.relative_error, scores.agreement) == (0, None)


def test_file_is_checked_at_other_sizes_than_it_was_traced_with():
    sizes = []

    def run(arrays):
        sizes.append(len(arrays["x"]))
        return exact(arrays)

    check(run)
    assert sizes == [1, 3]
    check(run, shapes={"x": (2, 4)}, is_static=True)
    assert sizes == [1, 3, 2]


def test_fixed_axis_raises():
    with pytest.raises(ExportCheckError, match=r"input x of double has the shape \(2, 4\)"):
        check(exact, shapes={"x": (2, 4)})


def test_difference_beyond_the_bound_raises():
    def run(arrays):
        return exact(arrays) | {"scores": 1.01 * (arrays["x"] + 3)}

    with pytest.raises(ExportCheckError, match=r"output scores of double differs .* by 0\.01"):
        check(run)
    assert 0.009 < check(run, weights="float16")[1].relative_error < 0.011


def test_masks_are_compared_by_their_pixels():
    def run(arrays):
        return exact(arrays) | {"masks": 1.5 * arrays["x"]}

    assert check(run)[0].agreement == 1
    with pytest.raises(ExportCheckError, match="output masks of double differs"):
        check(lambda arrays: exact(arrays) | {"masks": -arrays["x"]})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_raise(value):
    def run(arrays):
        return exact(arrays) | {"masks": np.full_like(arrays["x"], value)}

    with pytest.raises(ExportCheckError, match="by inf"):
        check(run)


def test_other_shape_raises():
    with pytest.raises(ExportCheckError, match=r"output scores of double has the shape \(4,\)"):
        check(lambda arrays: exact(arrays) | {"scores": arrays["x"][0]})
