"""A request's body, however it is spoilt: photos with names that can be sent, or a problem."""

import asyncio
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from catdog.settings import Limits
from deployments.api.body import MULTIPART, uploads
from deployments.api.problems import ProblemError

LIMITS = Limits.load(max_mebibytes=1, max_photos=8)
PART = '--b\r\nContent-Disposition: form-data; name="photos"; filename="{}.png"\r\n\r\nbytes\r\n'
FORM = (PART.format("a") + PART.format("ä") + "--b--\r\n").encode()
EDITS = st.lists(
    st.tuples(st.integers(0, len(FORM)), st.integers(0, 8), st.binary(max_size=8)), max_size=6
)
"""Where, how many bytes are replaced, and by what."""
KINDS = st.one_of(
    st.sampled_from(("", "; boundary=b", "; boundary=b; charset=utf-7", "; boundary*=utf-8''b")),
    st.text(max_size=20).map("; boundary=b; {}".format),
    st.text(max_size=20).map("; boundary=b; charset={}".format),
)


def taken(form: bytes, kind: str, cut: int) -> list[tuple[str | None, bytes]]:
    """The names and bytes of what a request holds. It comes in parts of so many bytes."""
    parts = [form[start : start + cut] for start in range(0, len(form), cut)]

    async def receive() -> Any:
        body = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    head = (MULTIPART + kind).encode("utf-8", "surrogatepass")
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", head)]}
    found = asyncio.run(uploads(Request(scope, receive), LIMITS))
    read = [(upload.filename, upload.file.read()) for upload in found]
    for upload in found:
        upload.file.close()
    return read


def problem_with(form: bytes, kind: str, cut: int) -> int | None:
    """The status of what is told of a request; None where its names could be sent back."""
    try:
        "".join(name or "" for name, _ in taken(form, kind, cut)).encode()
    except ProblemError as problem:
        return problem.response.status_code
    return None


def test_a_whole_form_is_taken_whole() -> None:
    expected = [("a.png", b"bytes"), ("ä.png", b"bytes")]
    assert all(taken(FORM, "; boundary=b", cut) == expected for cut in (1, 7, len(FORM)))


@given(st.integers(1, len(FORM) - len("--\r\n") - 1))
def test_a_form_that_is_cut_off_is_a_problem_not_fewer_photos(length: int) -> None:
    assert problem_with(FORM[:length], "; boundary=b", 50) == 400


@given(EDITS, KINDS, st.integers(1, len(FORM)))
def test_a_spoilt_form_is_a_problem_or_photos_whose_names_can_be_sent(
    edits: list[tuple[int, int, bytes]], kind: str, cut: int
) -> None:
    form = bytearray(FORM)
    for place, length, new in edits:
        form[place : place + length] = new
    assert problem_with(bytes(form), kind, cut) in (None, 400, 413)


@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "utf-7", "unicode_escape"])
def test_a_character_set_that_cannot_be_read_is_a_problem_or_another_name(charset: str) -> None:
    assert problem_with(FORM, f"; boundary=b; charset={charset}", 50) in (None, 400)
