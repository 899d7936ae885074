"""`Manifest`: the settings that a table was created with, which a later run must share."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keras_sam.batch.table import SCHEMA_VERSION
from keras_sam.files.atomic_file import write_atomically

NAME = "_manifest.json"  # readers of Parquet folders skip names with an underscore


@dataclass(frozen=True)
class Manifest:
    """Settings that all images of a table share.

    Attributes:
        source: Source of the images, as it was given.
        settings: Output of `BatchSettings.to_dict`.
        model_hash: Hash of the model. Empty before the first result.
        schema: Version of the columns.
    """

    source: str
    settings: dict[str, Any] = field(default_factory=dict)
    model_hash: str = ""
    schema: int = SCHEMA_VERSION

    @classmethod
    def load(cls, directory: Path) -> "Manifest | None":
        """Read the manifest of a table, or return `None` if there is none.

        Raises:
            ValueError: If it is damaged.
        """
        path = directory / NAME
        if not path.exists():
            return None
        try:
            manifest = cls(**json.loads(path.read_text(encoding="utf-8")))
            if not isinstance(manifest.settings, dict):
                raise ValueError("settings must be an object")
            return manifest
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def save(self, directory: Path) -> None:
        """Write the manifest of a table."""
        text = json.dumps(vars(self), indent=2) + "\n"
        write_atomically(directory / NAME, text.encode())

    def check(self, other: "Manifest") -> None:
        """Check that another manifest has the same settings.

        Raises:
            ValueError: If it has not. The message lists the differences.
        """
        old, new = self._flat(), other._flat()
        differences = [
            f"{name} was {old.get(name)!r} and is now {new.get(name)!r}"
            for name in old | new
            if old.get(name) != new.get(name)
        ]
        if differences:
            raise ValueError(
                f"the table was created with other settings: {'; '.join(differences)}; "
                "use the same settings, or another output folder"
            )

    def _flat(self) -> dict[str, Any]:
        """Return all values by name. Those of the mask generator start with "generator."."""
        values = vars(self) | self.settings
        del values["settings"]
        generator = values.pop("generator", {})
        return values | {f"generator.{name}": value for name, value in generator.items()}


class ManifestGuard:
    """Ensures that all images of a table are processed with the same settings and weights.

    Args:
        directory: Folder of the table.
        manifest: Settings of this run, without `model_hash`.

    Raises:
        ValueError: If the table was created with other settings, or its manifest is damaged.
    """

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory = directory
        self._manifest = manifest
        existing = Manifest.load(directory)
        if existing is None:
            manifest.save(directory)
        else:
            existing.check(replace(manifest, model_hash=existing.model_hash))
            self._manifest = existing

    def check_model(self, model_hash: str) -> None:
        """Check the model of a result. The first model of a table is stored in the manifest.

        Raises:
            ValueError: If the model differs from that of the table.
        """
        if not self._manifest.model_hash:
            self._manifest = replace(self._manifest, model_hash=model_hash)
            self._manifest.save(self._directory)
        self._manifest.check(replace(self._manifest, model_hash=model_hash))
