from dataclasses import replace

from keras_sam.batch.staged_part import write_staged_part
from keras_sam.batch.table_parts import finished_images, part_files
from tests.batch.sample_results import PROVENANCE, failed_result, good_result


def test_part_counts_its_rows(tmp_path):
    other = replace(PROVENANCE, model_hash="0" * 16)
    results = [good_result("a"), good_result("b", provenance=other), failed_result("c")]
    part = write_staged_part(tmp_path, results)
    assert (part.images, part.errors, part.masks) == (3, 1, 4)
    assert part.model_hashes == ("0" * 16, "f" * 16)


def test_part_counts_only_after_it_is_moved(tmp_path):
    staging = tmp_path / "_staging" / "run"
    staging.mkdir(parents=True)
    parts = [write_staged_part(staging, [good_result(name)]) for name in "ab"]
    assert finished_images(tmp_path) == set()
    for part in parts:
        part.move_to(tmp_path)
    assert finished_images(tmp_path) == {"a", "b"}
    assert len(part_files(tmp_path)) == 2
    assert list(staging.iterdir()) == []
