"""`catdog api --risk`: what it does not know it does not answer, and says so."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from api_server import Server, form, photo, serving

from catdog.export.exported import DESCRIPTION, Description
from catdog.store.artifacts import HELD_OUT, Evidence
from catdog.store.digest import file_digest
from catdog.store.files import write_json


@pytest.fixture
def knowing(exported: Path, tmp_path: Path) -> Path:
    """The export with evidence: 400 photos a part, none wrong, and none like those of the tests."""
    folder = tmp_path / "knowing"
    shutil.copytree(exported, folder)
    found = {"known": np.zeros((1, 32), np.float16)}
    for split in HELD_OUT:
        found[f"{split}_doubt"] = found[f"{split}_distance"] = np.linspace(0, 0.5, 400)
        found[f"{split}_wrong"] = np.zeros(400, bool)
    np.savez(folder / Evidence.NAME, **found)  # type: ignore[arg-type]
    description = Description.model_validate_json((folder / DESCRIPTION).read_text("utf-8"))
    told = description.model_copy(update={"evidence": file_digest(folder / Evidence.NAME)})
    write_json(folder / DESCRIPTION, told.model_dump(mode="json"))
    return folder


def test_it_says_why_it_does_not_answer_and_what_it_promises(knowing: Path, tmp_path: Path) -> None:
    flags = ("--model", str(knowing), "--risk", "1%")
    with serving(tmp_path, *flags) as server, server.client() as client:
        answer = client.post("/predict", files=form(photo(0), b"not a photo"))
        stranger, unreadable = answer.raise_for_status().json()["predictions"]
        promise = client.get("/model").json()["promise"]
    assert (stranger["class"], stranger["confidence"]) == (None, None)
    assert (stranger["unanswered"], stranger["uncertain"]) == ("unlike", True)
    assert set(stranger["probabilities"]) == {"cats", "dogs"}
    assert (unreadable["unanswered"], unreadable["error"]) == (None, "not an image (text?)")
    assert (promise["risk"], promise["test_wrong"], promise["test_unlike"]) == (0.01, 0, 4)
    assert "At most 1 % of its answers are wrong" in promise["sentence"]


def test_where_strangers_are_not_looked_for_it_answers(knowing: Path, tmp_path: Path) -> None:
    flags = ("--model", str(knowing), "--risk", "1%", "--false-flags", "0")
    with serving(tmp_path, *flags) as server, server.client() as client:
        (found,) = client.post("/predict", content=photo(0)).json()["predictions"]
        assert found["class"] in ("cats", "dogs")
        assert client.get("/model").json()["promise"]["test_unlike"] is None


@pytest.mark.parametrize(
    ("risk", "words"), [("0.01%", "0.01 % cannot be promised"), ("a lot", "risk")]
)
def test_a_risk_that_cannot_be_kept_ends_it_with_one_line(
    risk: str, words: str, knowing: Path, tmp_path: Path
) -> None:
    server = Server(tmp_path, "--model", str(knowing), "--risk", risk)
    assert server.end() == ""
    assert server.process.returncode != 0
    assert words in server.said
