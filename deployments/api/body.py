"""The photos of a request, taken in within the limits."""

import asyncio
from collections.abc import AsyncGenerator
from http import HTTPStatus
from io import BytesIO

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from catdog.settings import Limits
from catdog.wording import quoted
from deployments.api.problems import ProblemError

MULTIPART = "multipart/form-data"
MAX_FIELDS = 100
"""Of a form, apart from its files; none is used."""


async def uploads(request: Request, limits: Limits) -> list[UploadFile]:
    """The photos of a request: the files of a form, or its whole body, which has no name.

    A file that was too large to wait in memory is on the disk. Nothing is ever opened by its name.
    Raises ProblemError when it holds none, breaks a limit, or ends too early or too late.
    """
    try:
        async with asyncio.timeout(limits.body_seconds):
            found = await _read(request, limits)
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive within {limits.body_seconds:g} seconds.",
        ) from error
    except ClientDisconnect as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "The request ended before its body did."
        ) from error
    if not found:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "There is no photo in the request. Send its bytes as the body, or files in a form.",
        )
    return found


class _Form(MultiPartParser):
    """One that ends with its last boundary: of what was cut off, a photo would be missing."""

    def __init__(
        self, headers: Headers, chunks: AsyncGenerator[bytes, None], **limits: int
    ) -> None:
        super().__init__(headers, self._whole(chunks), **limits)
        self.ended = False

    def on_end(self) -> None:
        self.ended = True

    async def _whole(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            yield chunk
        if not self.ended:
            raise MultiPartException("The form ends before its last boundary.")


async def _read(request: Request, limits: Limits) -> list[UploadFile]:
    chunks = _chunks(request, limits)
    if not request.headers.get("content-type", "").lower().startswith(MULTIPART):
        body = b"".join([chunk async for chunk in chunks])
        return [UploadFile(BytesIO(body))] if body else []
    parser = _Form(request.headers, chunks, max_files=limits.max_photos, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        many = error.message.startswith("Too many")
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if many else HTTPStatus.BAD_REQUEST
        raise ProblemError(status, error.message) from error
    except (LookupError, ValueError) as error:  # of the character set that the request names
        raise _unreadable(error) from error
    found = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    try:
        "".join(upload.filename or "" for upload in found).encode()  # else no answer could name it
    except UnicodeEncodeError as error:
        await form.close()
        raise _unreadable(error) from error
    return found


def _unreadable(error: Exception) -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        f"The form's names cannot be read ({quoted(error)}). Send it as UTF-8.",
    )


async def _chunks(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    most = limits.max_mebibytes * 2**20
    # The server has refused what is no number.
    _require_fit(int(request.headers.get("content-length", 0)), most)
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        _require_fit(taken, most)
        yield chunk


def _require_fit(size: int, most: int) -> None:
    if size > most:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body is larger than {most // 2**20} MiB. Send fewer photos at a time.",
        )
