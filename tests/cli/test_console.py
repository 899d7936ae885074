import pytest
import typer

from keras_sam.cli.console import progress_bar, report_user_errors


@pytest.mark.parametrize("kind", [ValueError, OSError, ImportError, MemoryError, RuntimeError])
def test_error_is_one_sentence(capsys, kind):
    def command():
        raise kind("out of memory:\n  tried to take 7 GB")

    with pytest.raises(typer.Exit) as exit_info:
        report_user_errors(command)()
    assert exit_info.value.exit_code == 1
    assert capsys.readouterr().err == "keras-sam: out of memory: tried to take 7 GB\n"


def test_error_without_message_prints_its_class(capsys):
    def command():
        raise MemoryError

    with pytest.raises(typer.Exit):
        report_user_errors(command)()
    assert capsys.readouterr().err == "keras-sam: MemoryError\n"


def test_progress_bar_prints_nothing_without_a_terminal(capfd):
    with progress_bar("images") as progress:
        progress(1, 1)
    assert capfd.readouterr().err == ""
