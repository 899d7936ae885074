"""`Manifest`: what a table was made with, so that it is not finished with something else."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_sam.batch.table import SCHEMA_VERSION
from keras_sam.files.atomic_file import write_atomically

NAME = "_manifest.json"  # readers of Parquet folders skip names that begin so


@dataclass(frozen=True)
class Manifest:
    """What all images of a table have in common.

    Attributes:
        input: the source, as it was given.
        settings: of `BatchSettings`.
        revision: of the model; empty until one was loaded.
        schema: version of the table.
    """

    input: str
    settings: dict[str, Any] = field(default_factory=dict)
    revision: str = ""
    schema: int = SCHEMA_VERSION

    @classmethod
    def load(cls, directory: Path) -> "Manifest | None":
        """That of a folder, if it has one.

        Raises:
            ValueError: if it is damaged.
        """
        path = directory / NAME
        if not path.exists():
            return None
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def save(self, directory: Path) -> None:
        """Writes it, whole or not at all."""
        text = json.dumps(vars(self), indent=2) + "\n"
        write_atomically(directory / NAME, text.encode())

    def check(self, wanted: "Manifest") -> None:
        """Refuses to go on with other settings.

        Raises:
            ValueError: naming what differs.
        """
        old, new = self._flat(), wanted._flat()
        differing = [
            f"{name} was {old.get(name)!r} and is {new.get(name)!r}"
            for name in old | new
            if old.get(name) != new.get(name)
        ]
        if differing:
            raise ValueError(
                "the output was begun with other settings: "
                + "; ".join(differing)
                + "; give the same ones to go on, or another output"
            )

    def _flat(self) -> dict[str, Any]:
        facts = {"input": self.input, "schema": self.schema, **self.settings}
        return facts | ({"revision": self.revision} if self.revision else {})
