"""What the tests of the deployments share: one site, and photos that take no time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sites import ROOT, Site, open_site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Server, pool and worker on this machine; as they come, but for quicker heartbeats.

    The worker allows the models in `examples`.
    """
    with open_site(CATDOG_MODEL_PATHS=str(ROOT / "examples")) as opened:
        yield opened


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 training and 40 held-out drawings of cats and dogs."""
    from catdog.sample.draw import draw

    folder = tmp_path_factory.mktemp("photos")
    draw(folder, train=40, validation=40, seed=5)
    return folder
