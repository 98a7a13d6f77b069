"""Fixtures of the tests of the demo: the sample portrait, run once, and its animation."""

from __future__ import annotations

import pytest
from demo_cases import Steps, read_frames

from involution_edu.apps import demo
from involution_edu.images import Photo


@pytest.fixture(scope="session")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory, steps: Steps) -> demo.Demo:
    return demo.run(out_dir=tmp_path_factory.mktemp("portrait"), progress=steps)


@pytest.fixture(scope="session")
def frames(portrait: demo.Demo) -> list[Photo]:
    return read_frames(portrait.files[1])
