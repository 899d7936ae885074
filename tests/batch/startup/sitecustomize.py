"""Lets a process load no model. Python imports this module at its start if PYTHONPATH has it."""

from tests.batch.fake_workers import replace_model

replace_model()
