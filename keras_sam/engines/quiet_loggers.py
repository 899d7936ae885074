"""`quiet_loggers`: hides messages of libraries that users cannot act upon."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_loggers(*names: str | None) -> Iterator[None]:
    """Let loggers report errors only within the context.

    Args:
        *names: Names of the loggers; `None` for the root logger.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
