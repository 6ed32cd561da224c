"""What operators see of the API: a line for each request, and numbers for Prometheus."""

import json
import logging
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.problems import WHOLE

access = logging.getLogger("catdog.access")

PATHS = {"/", "/predict", "/model", "/models", "/health", "/ready", "/metrics", "/openapi.json"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The numbers of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        times = partial(Histogram, registry=registry, buckets=BUCKETS)
        self.requests = counter("catdog_requests", "Requests answered.", ["path", "status"])
        self.seconds = times(
            "catdog_request_seconds", "From a request's head to the end of its answer.", ["path"]
        )
        self.photos = counter(
            "catdog_photos",
            "Photos by predicted class; without one where a photo cannot be read.",
            ["task", "model", "label"],
        )
        self.predicting = times("catdog_photo_seconds", "To read and predict one photo.")
        self.waiting = gauge("catdog_waiting", "Requests that are being answered.")
        self.model = gauge(
            "catdog_model", "1 for each model that answers.", ["task", "model", "version"]
        )

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)


class Observed:
    """Counts, times and logs each request of an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, sent = 500, 0

        async def receiving() -> Message:
            message = await receive()
            scope[WHOLE] = not message.get("more_body", False)
            return message

        async def noting(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, noting)
        finally:
            self._note(scope, status, sent, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in PATHS else "other"
        self._metrics.requests.labels(path, status).inc()
        self._metrics.seconds.labels(path).observe(seconds)
        line: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": (scope.get("client") or [None])[0],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "bytes": sent,
            "ms": round(1000 * seconds, 1),
            **scope.get("state", {}).get("noted", {}),
        }
        access.info(json.dumps(line))
