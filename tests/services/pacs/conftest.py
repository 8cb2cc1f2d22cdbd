"""One real archive for all tests that leave it as they like and start with it empty."""

from __future__ import annotations

from collections.abc import Iterator

import orthanc
import pytest


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    """It runs as long as the tests do."""
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def archive(running: orthanc.Orthanc) -> orthanc.Orthanc:
    """The archive, empty."""
    running.forget()
    return running
