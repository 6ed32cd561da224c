"""How many photos `catdog api` answers, next to what a user would write with Keras.

    CATDOG_HOME=HOME python -m benchmarks.api PHOTOS RUN [SECONDS]

HOME has a RUN of `transfer` and another model; PHOTOS is a folder of photos. `wrk` asks with 8
clients over loopback, each photo in turn as a form. Three rounds: the API; the API during 20
promotions, 10 of each model; and FastAPI with `keras.Model.predict`.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from catdog.history.runs import load_run
from catdog.promotion.candidates import choose_entrant
from catdog.promotion.registry import Registry
from catdog.settings import Settings
from catdog.sources.named_photos import find_photos

CLIENTS = 8
PROMOTIONS = 20
PORT = 8765
URL = f"http://127.0.0.1:{PORT}"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="photos"; filename="p.jpg"\r\n\r\n%s\r\n--b--\r\n'
)
SCRIPT = """
local bodies, turn = {}, 0
for file in io.lines(os.getenv("FORMS")) do
  bodies[#bodies + 1] = io.open(file, "rb"):read("*a")
end
wrk.method, wrk.headers["Content-Type"] = "POST", "multipart/form-data; boundary=b"
function request()
  turn = turn % #bodies + 1
  return wrk.format(nil, "/predict", nil, bodies[turn])
end
"""
WRITTEN = """
import io, sys
import keras, numpy as np, uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

app, model = FastAPI(), keras.models.load_model(sys.argv[1])

@app.get("/ready")
def ready():
    return "ok"

@app.post("/predict")
def predict(photos: UploadFile):
    image = Image.open(io.BytesIO(photos.file.read())).convert("RGB").resize(model.input_shape[1:3])
    return model.predict(np.asarray(image)[None], verbose=0)[0].tolist()

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


@contextmanager
def server(*command: str) -> Iterator[psutil.Process]:
    started = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    try:
        while True:
            assert started.poll() is None, "it has not started"
            try:
                if httpx.get(f"{URL}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait()


def load(forms: Path, seconds: int) -> str:
    """What `wrk` says: answers, latencies, errors."""
    script = forms / "script.lua"
    script.write_text(SCRIPT)
    clients = ("-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--latency", "--timeout", "30s")
    done = subprocess.run(
        ["wrk", *clients, "-s", str(script), URL],  # noqa: S607  from the path
        env=os.environ | {"FORMS": str(forms / "list")},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = ("50%", "99%", "requests in", "Requests/sec", "errors", "Non-2xx")
    lines = [line.strip() for line in done.stdout.splitlines() if any(w in line for w in wanted)]
    return "; ".join(lines)


def say(what: str, forms: Path, seconds: int, process: psutil.Process) -> None:
    load(forms, 3)  # warm
    before = process.memory_info().rss
    found = load(forms, seconds)
    after = process.memory_info().rss
    memory = f"{before >> 20} MiB before, {after >> 20} after"
    print(f"{what}: {found}; {memory}; load {os.getloadavg()[0]:.1f}", flush=True)


def promotions(run: str, registry: Registry, seconds: int) -> threading.Thread:
    finished = load_run(run, registry.origin).finished()
    names = sorted({score.name for score in finished})[-2:]
    entrants = [choose_entrant(registry.origin, run, name) for name in names]

    def promote() -> None:
        for turn in range(PROMOTIONS):
            registry.promote(entrants[turn % 2])
            time.sleep(seconds / PROMOTIONS)

    return threading.Thread(target=promote)


def main(photos: str, run: str, seconds: str = "60") -> None:
    registry = Registry(Settings.load().home)
    api = ("-m", "catdog", "api", "--port", str(PORT))
    with tempfile.TemporaryDirectory() as folder:
        forms = Path(folder)
        for number, photo in enumerate(find_photos([Path(photos)])):
            (forms / str(number)).write_bytes(FORM % photo.read_bytes())
        bodies = "".join(f"{file}\n" for file in forms.iterdir())
        (forms / "list").write_text(bodies)
        registry.promote(choose_entrant(registry.origin, run, "transfer"))
        with server(*api) as process:
            say("catdog api", forms, int(seconds), process)
        with server(*api) as process:
            promoting = promotions(run, registry, int(seconds))
            promoting.start()
            say("catdog api, 20 promotions", forms, int(seconds), process)
            promoting.join()
        model = choose_entrant(registry.origin, run, "transfer").model.file("model.keras")
        with server("-c", WRITTEN, str(model), str(PORT)) as process:
            say("FastAPI and keras.Model.predict", forms, int(seconds), process)


if __name__ == "__main__":
    main(*sys.argv[1:])
