"""`count_calls`: how often a program runs the Python code of a model."""

from typing import Any

import pytest


def count_calls(monkeypatch: pytest.MonkeyPatch, model: Any, method: str) -> list[None]:
    """Return a list that gets an entry whenever a method of the model is called."""
    calls: list[None] = []
    original = getattr(model, method)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return original(*args, **kwargs)

    monkeypatch.setattr(model, method, counted)
    return calls
