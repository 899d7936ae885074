import pytest

from benchmarks.implementations.registry import (
    IMPLEMENTATIONS,
    find_checkout_file,
    find_entry,
    load_checkout,
)


def test_file_of_a_checkout_is_found_in_its_directory(tmp_path):
    file = tmp_path / "implementation.py"
    file.write_text("")
    assert find_checkout_file(tmp_path) == find_checkout_file(file) == file.resolve()


def test_missing_file_raises(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        find_checkout_file(tmp_path)


def test_checkout_imports_modules_next_to_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)  # restores the path that `load_checkout` changes
    (tmp_path / "module_of_checkout.py").write_text("VALUE = 7")
    (tmp_path / "implementation.py").write_text(
        "import module_of_checkout\nclass Implementation:\n    value = module_of_checkout.VALUE\n"
    )
    assert load_checkout(tmp_path).value == 7


def test_file_without_the_class_raises(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)  # restores the path that `load_checkout` changes
    (tmp_path / "implementation.py").write_text("")
    with pytest.raises(ValueError, match="has no class Implementation"):
        load_checkout(tmp_path)


def test_unknown_name_raises():
    with pytest.raises(ValueError, match="no implementation 'missing'; expected one of keras-sam"):
        find_entry("missing", {})


def test_checkout_is_found_by_its_name():
    assert find_entry("mine", {"mine": "/some/file.py"}).converts
    assert find_entry("keras-sam-jax", {}) is IMPLEMENTATIONS["keras-sam-jax"]
