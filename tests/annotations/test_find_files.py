"""Files of a folder."""

from keras_sam.annotations.find_files import find_files, find_images


def test_images_are_found_in_subfolders_and_sorted(tmp_path):
    for name in ("b.JPG", "x/a.png", "notes.txt", ".hidden.png", ".cache/a.png", "x/.y/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path) == [tmp_path / "b.JPG", tmp_path / "x" / "a.png"]
    assert find_files(tmp_path, (".txt",)) == [tmp_path / "notes.txt"]
    assert find_images(tmp_path / "missing") == []


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    assert find_images(tmp_path) == []
