"""Fixtures of the tests of the demo: the sample portrait, run once."""

from __future__ import annotations

import pytest
from demo_cases import Steps

from involution_edu.apps import demo


@pytest.fixture(scope="session")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory, steps: Steps) -> demo.Demo:
    return demo.run(out_dir=tmp_path_factory.mktemp("portrait"), progress=steps)
