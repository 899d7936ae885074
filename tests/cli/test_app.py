from importlib.metadata import version

import keras_sam


def test_version(run):
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.strip() == version("keras-sam") == keras_sam.__version__


def test_without_arguments_the_commands_are_listed(run):
    output = run().output
    for name in (
        *("segment", "masks", "batch", "presets", "info", "evaluate", "convert", "inspect"),
    ):
        assert f"  {name} " in output


def test_unknown_command_is_a_usage_error(run):
    result = run("train")
    assert result.exit_code == 2
    assert "No such command 'train'" in result.stderr
