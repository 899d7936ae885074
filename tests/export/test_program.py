import numpy as np
from keras import ops

from keras_sam.export.program import ArraySpec, OnnxStage, Program, run_reference


def double_stage(name, source, target):
    def reference(arrays):
        return {target: 2 * arrays[source]}

    return OnnxStage((ArraySpec(name, (2,)),), (ArraySpec(target, (2,)),), None, reference)


def example_program(**kwargs):
    return Program(
        "sum",
        (ArraySpec("x", (2,)), ArraySpec("y", ("n", 2))),
        (ArraySpec("z", ("n", 2)),),
        lambda x, y: (x + y,),
        (),
        sizes={"n": 3},
        **kwargs,
    )


def names(specs):
    return [spec.name for spec in specs]


def test_example_has_the_sizes_of_the_program():
    example = example_program().example()
    assert {name: array.shape for name, array in example.items()} == {"x": (2,), "y": (3, 2)}


def test_stages_change_the_inputs_and_outputs_of_the_file():
    program = example_program(
        before=double_stage("half", "half", "x"), after=double_stage("size", "z", "w")
    )
    assert names(program.file_inputs(with_stages=False)) == ["x", "y"]
    assert names(program.file_inputs(with_stages=True)) == ["half", "y", "size"]
    assert names(program.file_outputs(with_stages=False)) == ["z"]
    assert names(program.file_outputs(with_stages=True)) == ["w"]


def test_reference_runs_stages_and_function():
    program = example_program(
        before=double_stage("half", "half", "x"), after=double_stage("size", "z", "w")
    )
    y = np.ones((1, 2), "float32")
    inputs = {"half": np.array([3, 4], "float32"), "y": y, "size": np.zeros(2, "float32")}
    (output,) = run_reference(program, inputs, with_stages=True).values()
    np.testing.assert_array_equal(output, [[14, 18]])
    inputs = {"x": ops.convert_to_numpy(ops.ones(2)), "y": y}
    (output,) = run_reference(program, inputs, with_stages=False).values()
    np.testing.assert_array_equal(output, [[2, 2]])
