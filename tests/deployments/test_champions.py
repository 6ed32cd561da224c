"""Real runs before the champion: a better model takes its place, a worse one does not."""

from pathlib import Path
from typing import Any

import pytest
from sites import TINY, Site, open_site

pytestmark = pytest.mark.slow

WEAK: dict[str, Any] = TINY | {
    "models": ["baseline"],
    "epochs": 1,
    "image_size": 96,
    "test_share": 0.35,
}
STRONG: dict[str, Any] = WEAK | {"models": ["transfer"], "epochs": 4, "class_margin": 1}
"""The weak one may name every photo a cat, and so be best at cats."""


@pytest.fixture(scope="module")
def own() -> Any:
    """A site without a champion."""
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Enough test photos to tell a good model from a poor one: about 80."""
    from catdog.sample.draw import draw

    folder: Path = tmp_path_factory.mktemp("many photos")
    draw(folder, train=300, validation=400, seed=6)
    return str(folder)


def decided(site: Site, source: str, **parameters: Any) -> tuple[str, str]:
    """Run to the end, and give the decision's outcome and reason."""
    assert site.wait(site.run(source=source, **parameters)) == "Completed"
    decision = site.decisions()[-1]
    return decision["outcome"], decision["reason"]


def champion(site: Site) -> str:
    return str(site.decisions()[-1]["champion"]["name"])


def test_the_better_is_promoted_the_worse_refused_and_both_can_be_taken_back(
    own: Site, source: str
) -> None:
    assert decided(own, source, **WEAK) == ("promoted", "first")
    assert decided(own, source, **STRONG) == ("promoted", "better")
    assert decided(own, source, **WEAK | {"batch_size": 64}) == ("kept", "worse")
    assert champion(own) == "transfer"
    own.catdog("champion", "rollback")
    assert champion(own) == "baseline"
    assert decided(own, source, **STRONG) == ("kept", "rolled back before")
