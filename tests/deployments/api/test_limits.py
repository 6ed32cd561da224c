"""What a request may not do, and a server that outlives every bad one."""

import asyncio
import io

import httpx
import pytest
from api_server import (
    HEAD,
    LIMITS,
    Server,
    answer_of,
    photo,
    raw,
    require_problem,
)
from PIL import Image


def test_a_photo_of_too_many_pixels_for_this_server_is_refused(client: httpx.Client) -> None:
    file = io.BytesIO()
    Image.new("1", (8_001, 8_000)).save(file, "PNG")
    problem = require_problem(client.post("/predict", content=file.getvalue()), 422, "No photo")
    assert problem["predictions"][0]["error"] == "more than 64,000,000 pixels: make it smaller"


@pytest.mark.parametrize(
    ("head", "begun"),
    [
        (b"Content-Length: 2000000000", bytes(10)),
        (b"Transfer-Encoding: chunked", b"200000\r\n" + bytes(2**21)),
    ],
)
def test_a_body_of_2_gb_is_refused_before_it_is_there(
    client: httpx.Client, server: Server, head: bytes, begun: bytes
) -> None:
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n"
    with raw(server, start, begun) as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"1 MiB" in answer


def test_who_reads_only_after_sending_all_learns_why_it_is_refused(client: httpx.Client) -> None:
    answer = client.post("/predict", content=(bytes(10**6) for _ in range(100)))
    require_problem(answer, 413, "1 MiB")


@pytest.mark.parametrize(("part", "most"), [('name="p"; filename="x"', "8"), ('name="p"', "100")])
def test_a_form_of_10_000_parts_is_refused(client: httpx.Client, part: str, most: str) -> None:
    parts = f"--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n" * 10_000
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/predict", content=f"{parts}--b--\r\n", headers=kind)
    require_problem(answer, 413, "Too many", most)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "image/jpeg"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"no form", "multipart/form-data; boundary=b"),
        (b"no form", "multipart/form-data"),
    ],
)
def test_a_request_without_photos_is_told_so(client: httpx.Client, body: bytes, kind: str) -> None:
    require_problem(client.post("/predict", content=body, headers={"content-type": kind}), 400)


@pytest.mark.parametrize(
    "charset", ["undefined", "punycode", "utf-7", "idna", "utf-16", "unicode_escape", "zlib", "?"]
)
@pytest.mark.parametrize("name", [b"a.png", b"+2AA-.png", b"\\ud800-\xff", b"a-\x80"])
def test_a_form_in_any_character_set_is_answered_or_told_why_not(
    client: httpx.Client, charset: str, name: bytes
) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="photos"; filename="' + name + b'"\r\n\r\n'
    answer = client.post(
        "/predict",
        content=head + photo() + b"\r\n--x--\r\n",
        headers={"content-type": f"multipart/form-data; charset={charset}; boundary=x"},
    )
    if answer.status_code != 200:
        require_problem(answer, 400, "UTF-8")


def test_a_body_that_does_not_arrive_in_time_is_given_up(
    client: httpx.Client, server: Server
) -> None:
    with raw(server, HEAD, b"half") as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"1 second" in answer


def test_a_request_that_stops_half_way_takes_no_place(client: httpx.Client, server: Server) -> None:
    for _ in range(3 * LIMITS.max_waiting):
        raw(server, HEAD, b"half").close()
    server.wait_for("/metrics", lambda answer: "catdog_waiting 0.0" in answer.text)
    assert client.post("/predict", content=photo()).status_code == 200


def test_more_requests_than_may_wait_are_told_to_come_again(
    client: httpx.Client, server: Server
) -> None:
    waiting = [raw(server, HEAD, b"half") for _ in range(LIMITS.max_waiting)]
    server.wait_for("/metrics", lambda a: f"catdog_waiting {LIMITS.max_waiting}.0" in a.text)
    answer = client.post("/predict", content=photo())
    require_problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    require_problem(client.get("/ready"), 429)
    for connection in waiting:
        connection.close()
    server.wait_for("/ready", lambda answer: answer.status_code == 200)


def test_many_tiny_requests_are_all_answered(server: Server) -> None:
    async def ask() -> set[int]:
        limits = httpx.Limits(max_connections=LIMITS.max_waiting)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(
                *(client.post("/predict", content=b"x") for _ in range(200))
            )
        return {answer.status_code for answer in answers}

    assert asyncio.run(ask()) == {422}


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.test"}, {"origin": "null"}, {"host": "evil.test"}],
)
def test_a_page_of_another_site_gets_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/model"), ("POST", "/predict"), ("OPTIONS", "/predict")):
        answer = client.request(method, path, headers=headers)
        require_problem(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_may_ask_and_may_load_nothing_from_elsewhere(
    client: httpx.Client, server: Server
) -> None:
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http:" not in answer.text
    assert "https:" not in answer.text
    own = {"origin": server.url}
    assert client.post("/predict", content=photo(), headers=own).status_code == 200
