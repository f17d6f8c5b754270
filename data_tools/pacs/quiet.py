"""Silence for libraries whose logs and warnings quote what goes over the network, so patient data and credentials."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ctresample.data_tools.dicom.files import quiet_pydicom

_LOGGERS = ("pynetdicom", "dicomweb_client", "retrying", "urllib3", "requests")


@contextmanager
def quiet_network() -> Iterator[None]:
    """Keep their log records and warnings from the user, whatever handlers a program has set up."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.propagate, logger.level) for logger in loggers]
    with quiet_pydicom():
        for logger in loggers:
            logger.propagate = False
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, (propagate, level) in zip(loggers, before, strict=True):
                logger.propagate = propagate
                logger.setLevel(level)
