"""Loggers report errors only within the context, and keep their levels."""

import logging

import pytest

from keras_sam.engines.quiet_loggers import quiet_loggers


def test_only_errors_are_reported(caplog):
    logger = logging.getLogger("keras_sam.test")
    logger.setLevel(logging.INFO)
    with quiet_loggers("keras_sam.test", "keras_sam.other"):
        logger.info("hidden")
        logger.error("shown")
    logger.info("shown again")
    assert caplog.messages == ["shown", "shown again"]


@quiet_loggers(None)
def fail():
    raise ValueError(f"level {logging.getLogger().level}")


def test_levels_are_restored_after_an_error():
    level = logging.getLogger().level
    with pytest.raises(ValueError, match=f"level {logging.ERROR}"):
        fail()
    assert logging.getLogger().level == level
