"""The API itself: what is asked, and what is answered."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from catdog.configuration import TOKEN
from catdog.errors import StoreError
from catdog.inference.caution import Caution, Why
from catdog.inference.classifier import Prediction
from catdog.machine import DISTRIBUTION, available_cores
from catdog.promotion.decision import DEFAULT
from catdog.promotion.tasks import NoSuchTaskError
from catdog.settings import Limits
from deployments.api.body import MULTIPART, uploads
from deployments.api.journal import Journal
from deployments.api.observed import Metrics, Observed
from deployments.api.problems import Problem, ProblemError
from deployments.api.served import Models, Served
from flows.server.guard import Guard, known_names

LOOK_SECONDS = 1.0
"""Between two looks at the registry: one small file of each task is read."""
AGAIN_SECONDS = "1"
"""After which a client may come again: a full queue of single photos takes half of that."""
PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")

Token = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Answer(BaseModel):
    """What the model says of one photo: a class and its confidence, or why there is none."""

    name: str | None = Field(
        description="Of the file, as the client called it.", examples=["1.jpg"]
    )
    label: str | None = Field(alias="class", examples=["dogs"])
    confidence: float | None = Field(description="Of the class, 0 to 1.", examples=[0.993])
    probabilities: dict[str, float] = Field(examples=[{"cats": 0.007, "dogs": 0.993}])
    uncertain: bool = Field(
        description="Whether the confidence is below the threshold, or there is no answer."
    )
    unanswered: Why | None = Field(
        None,
        description="Why there is no class where the server limits the risk: the model doubts too "
        "much, or the photo is unlike all that it was trained on.",
        examples=[None],
    )
    error: str | None = Field(description="Why the photo cannot be read.", examples=[None])


class Answers(BaseModel):
    """What one model says of the photos of a request, in their order."""

    task: str = Field(examples=[DEFAULT])
    model: str = Field(examples=["transfer"])
    version: str = Field(description="Digest of the trained model.", examples=["9f2c41d07be3"])
    calibrated: bool
    predictions: list[Answer]


class Promised(BaseModel):
    """What holds of the answers, with 95 % confidence, for photos like the test photos."""

    risk: float = Field(description="At most this share of them is wrong.", examples=[0.01])
    confidence: float = Field(description="An answer has more than this, uncalibrated.")
    test_answered: int = Field(description="Of the test photos, a picture once.", examples=[160])
    test_wrong: int = Field(examples=[0])
    test_unlike: int | None = Field(description="Taken for unlike anything seen.", examples=[1])
    sentence: str = Field(description="All of this in words.")

    @classmethod
    def of(cls, caution: Caution | None) -> "Promised | None":
        """What a classifier's caution is worth."""
        if caution is None:
            return None
        promise, flagged = caution.promise, caution.flagged
        return cls(
            risk=promise.risk,
            confidence=1 - promise.limit,
            test_answered=promise.test.answered,
            test_wrong=promise.test.wrong,
            test_unlike=flagged.flagged if flagged else None,
            sentence=caution.sentence,
        )


class Card(BaseModel):
    """The model that answers, and how its run tested it."""

    task: str = Field(description="To which it belongs.", examples=[DEFAULT])
    model: str = Field(examples=["transfer"])
    version: str = Field(description="Digest of the trained model.", examples=["9f2c41d07be3"])
    classes: tuple[str, ...] = Field(examples=[["cats", "dogs"]])
    image_size: int = Field(description="Photos are resized to this square.", examples=[160])
    calibrated: bool
    temperature: float | None = Field(description="What calibrates it.", examples=[1.31])
    threshold: float = Field(description="A lower confidence is uncertain.", examples=[0.8])
    promise: Promised | None = Field(description="Where the server limits the risk (--risk).")
    champion: bool = Field(description="Whether it is the registry's champion.")
    run: str | None = Field(description="That trained the champion.")
    photos: str | None = Field(description="Where the champion's photos came from.")
    test_photos: int | None = Field(description="On which it was tested.", examples=[192])
    test_accuracy: float | None = Field(examples=[0.969])


class Health(BaseModel):
    status: str = Field(examples=["ok"])
    catdog: str = Field(description="Its version.", examples=["0.1.0"])


class Ready(BaseModel):
    model: str = Field(examples=["transfer"])
    version: str = Field(examples=["9f2c41d07be3"])


class ProblemBody(BaseModel):
    """A problem as RFC 9457 has it."""

    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["No photo of the request can be read."])
    predictions: list[Answer] | None = Field(None, description="With 422: each photo's error.")


Top = Annotated[
    int | None,
    Query(ge=1, description="Give the probabilities of so many classes, the likeliest first."),
]
Task = Annotated[
    str | None,
    Query(description="Whose champion answers, where several tasks have one: see /models."),
]
HANDLED = (ProblemError, RequestValidationError, HTTPException, Exception)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    content = {Problem.media_type: {"schema": schema}}
    problem = {"model": ProblemBody, "content": content}
    return {status: {"description": HTTPStatus(status).phrase, **problem} for status in statuses}


class Api:
    """One server: its model, its limits, and the threads that read and predict."""

    def __init__(
        self, models: Models, limits: Limits, *, token: str | None, journal: Journal
    ) -> None:
        self._models = models
        self._limits = limits
        self._token = token
        self._journal = journal
        self._metrics = Metrics()
        self._places = asyncio.Semaphore(limits.max_waiting)
        self._pool = ThreadPoolExecutor(available_cores(), "predict")

    def application(self, host: str) -> ASGIApp:
        """The whole of it, guarded and observed. host: the address that it listens on."""
        app = FastAPI(
            title="catdog",
            summary="The class of a photo, by the champion of the last runs.",
            version=version(DISTRIBUTION),
            docs_url=None,  # they would come from another site
            redoc_url=None,
            lifespan=self._lifespan,
            exception_handlers=dict.fromkeys(HANDLED, _told),
        )
        self._add_routes(app)
        guarded = Guard(
            app,
            names=None if self._token else known_names([f"http://{host}"]),  # a token guards, too
            origins=(),
            refuse=lambda objection: Problem(HTTPStatus.FORBIDDEN, f"Refused: {objection}."),
        )
        return Observed(guarded, self._metrics)

    def _add_routes(self, app: FastAPI) -> None:
        known = [Depends(self._require_token)]
        app.get("/", include_in_schema=False)(page)
        app.get("/health", summary="Whether the process answers")(health)
        app.get(
            "/ready",
            summary="Whether there is a model, and room for a request",
            responses=_problems(429, 503),
        )(self.ready)
        app.get(
            "/model",
            summary="The model that answers",
            dependencies=known,
            responses=_problems(401, 404, 503),
        )(self.model)
        app.get(
            "/models",
            summary="The models that answer, one for each task",
            dependencies=known,
            responses=_problems(401),
        )(self.models)
        app.get(
            "/metrics",
            summary="Numbers for Prometheus",
            dependencies=known,
            response_class=PlainTextResponse,
        )(self.metrics)
        app.post(
            "/predict",
            summary="The class of each photo",
            description="Photos as files of a form, or the bytes of one as the body. One that "
            "cannot be read costs only itself; when none can, the answer is a 422.",
            dependencies=known,
            openapi_extra={"requestBody": BODY},
            responses=_problems(400, 401, 404, 408, 413, 422, 429, 503),
        )(self.predict)

    async def predict(self, request: Request, top: Top = None, task: Task = None) -> Answers:
        self._served(task)  # or no body is awaited
        async with self._admitted():
            photos = await uploads(request, self._limits)
            served = self._served(task)
            answers = await asyncio.gather(*(self._answer(p, served, top) for p in photos))
        request.state.noted = {"photos": len(photos), "version": served.classifier.version}
        if all(answer.error for answer in answers):
            shown = [answer.model_dump(mode="json", by_alias=True) for answer in answers]
            none = "No photo of the request can be read."
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, none, predictions=shown)
        return Answers(
            task=served.task,
            model=served.classifier.name,
            version=served.classifier.version,
            calibrated=self._models.calibrated,
            predictions=answers,
        )

    def model(self, task: Task = None) -> Card:
        return self._card(self._served(task))

    def models(self) -> list[Card]:
        return [self._card(served) for served in self._models.served.values()]

    def _card(self, served: Served) -> Card:
        facts, champion = served.classifier.facts, served.champion
        return Card(
            task=served.task,
            model=facts.name,
            version=facts.version,
            classes=facts.classes,
            image_size=facts.image_size,
            calibrated=self._models.calibrated,
            temperature=facts.temperature,
            threshold=served.classifier.threshold,
            promise=Promised.of(served.classifier.caution),
            champion=champion is not None,
            run=champion.run if champion else None,
            photos=champion.origin if champion else None,
            test_photos=champion.test_photos if champion else None,
            test_accuracy=champion.test_accuracy if champion else None,
        )

    async def ready(self) -> Ready:
        with _as_problems():
            classifier = self._models.any().classifier
        async with self._admitted():
            return Ready(model=classifier.name, version=classifier.version)

    async def metrics(self) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _answer(self, upload: UploadFile, served: Served, top: int | None) -> Answer:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, self._predict, upload, served)
        likeliest = sorted(found.probabilities.items(), key=lambda item: -item[1])[:top]
        told = {
            "name": upload.filename,
            "class": found.label,
            "confidence": found.probability,
            "probabilities": dict(likeliest) if top else found.probabilities,
        }
        return Answer.model_validate(dict(found) | told)

    def _predict(self, upload: UploadFile, served: Served) -> Prediction:
        model, task = served.classifier, served.task
        with self._metrics.predicting.time(), upload.file as file:
            photo = file.read()
            most = self._limits.max_megapixels * 1_000_000
            found = model.predict_one(photo, max_pixels=most)
        self._metrics.photos.labels(task, model.name, found.label or "").inc()
        self._journal.add(photo, hashlib.sha256(photo).hexdigest(), found, model, task)
        return found

    def _served(self, task: str | None) -> Served:
        with _as_problems():
            return self._models.now(task)

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self._places.locked():
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{self._limits.max_waiting} requests are being answered, and no more may wait.",
                headers={"retry-after": AGAIN_SECONDS},
            )
        with self._metrics.waiting.track_inprogress():
            async with self._places:
                yield

    async def _require_token(self, given: Token) -> None:
        offered = given.credentials if given else ""
        if self._token and not secrets.compare_digest(offered.encode(), self._token.encode()):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                f"Send the header 'Authorization: Bearer TOKEN'; the server's {TOKEN} says which.",
                headers={"www-authenticate": "Bearer"},
            )

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self._show_model()
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            self._pool.shutdown()
            self._journal.close()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await asyncio.to_thread(self._models.follow):
                self._show_model()

    def _show_model(self) -> None:
        self._metrics.model.clear()
        for task, served in self._models.served.items():
            model = served.classifier
            self._metrics.model.labels(task, model.name, model.version).set(1)


@contextmanager
def _as_problems() -> Iterator[None]:
    """What keeps a model from answering, as a client is told of it."""
    try:
        yield
    except NoSuchTaskError as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{error.problem} Add ?task=NAME.") from error
    except StoreError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error


async def page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers=PAGE_HEADERS)


async def health() -> Health:
    return Health(status="ok", catdog=version(DISTRIBUTION))


async def _told(_: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return error.response
    if isinstance(error, RequestValidationError):
        wrong = error.errors()[0]
        told = f"{wrong['loc'][-1]}: {wrong['msg'][:1].lower()}{wrong['msg'][1:]}."
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, told)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return Problem(status, f"{error.detail}.", headers=error.headers)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An error of catdog's: see the server's log.")


def _hashed(tag: str) -> str:
    """What the page's own script or style is allowed by, and no other."""
    (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"{tag}-src 'sha256-{digest}'"


PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; {_hashed('script')}; {_hashed('style')}; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FILE = {"type": "string", "format": "binary"}
_FORM = {"type": "object", "properties": {"photos": {"type": "array", "items": _FILE}}}
BODY = {"required": True, "content": {MULTIPART: {"schema": _FORM}, "image/*": {"schema": _FILE}}}
