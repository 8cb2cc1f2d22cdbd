"""What HTTP requests meet: those endpoints of MONAI Label that mean something here, each with its refusals."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Body, FastAPI, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute, APIRouter
from monailabel.endpoints import activelearning, datastore, info, train
from monailabel.endpoints.infer import ResultType, run_inference
from monailabel.interfaces.exception import MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.async_tasks.task import AsyncTask

from lowlight.imaging.filetype import split_suffix
from lowlight.services.monai_label.guarding import Guard
from lowlight.services.monai_label.refusals import bad_request
from lowlight.services.monai_label.wishes import Training

logger = logging.getLogger(__name__)

Params = Annotated[dict[str, Any] | None, Body()]

KEPT = {
    ("GET", "/info/"),
    ("GET", "/datastore/"),
    ("GET", "/datastore/image"),
    ("HEAD", "/datastore/image"),
    ("GET", "/datastore/image/info"),
    ("PUT", "/datastore/image/info"),
    ("PUT", "/datastore/label"),
    ("GET", "/datastore/label"),
    ("HEAD", "/datastore/label"),
    ("DELETE", "/datastore/label"),
    ("GET", "/datastore/label/info"),
    ("PUT", "/datastore/label/info"),
    ("GET", "/train/"),
    ("DELETE", "/train/"),
}
"""Endpoints of MONAI Label that are served as they are. Not among them: what asks other servers (proxy, OHIF), what
takes images past the datastore (sessions), what shows the log, and what removes images."""


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    instance = app_instance()
    instance.server_mode(True)
    # What a server that was killed has left.
    instance.close()
    logger.info("ready: %d images", len(instance.datastore().list_images()))
    yield
    # It would hold up the end.
    AsyncTask.stop("train")
    instance.close()


app = FastAPI(title="LowLightEnhance on MONAI Label", docs_url=None, redoc_url=None, lifespan=_life)
app.add_middleware(Guard)


def _kept(*routers: APIRouter) -> APIRouter:
    kept = APIRouter()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and any((method, route.path) in KEPT for method in route.methods):
                kept.routes.append(route)
    return kept


app.include_router(_kept(info.router, datastore.router, train.router))


@app.get("/", include_in_schema=False)
def welcome() -> PlainTextResponse:
    """For those who open the server's address in a browser."""
    return PlainTextResponse(
        "LowLightEnhance on MONAI Label. Programs ask this server; there is no page to look at.\n"
        "/info/ tells what it offers, /datastore/?output=all which images it has; docs/monai_label.md how to ask.\n"
    )


# What takes long is no coroutine: others are served meanwhile.
@app.post("/infer/{model}", tags=["Infer"])
def infer(
    background: BackgroundTasks,
    model: str,
    image: str = "",
    params: Annotated[str, Form()] = "{}",
    output: ResultType = ResultType.all,
) -> Any:
    """Enhance an image of the datastore."""
    app_instance().task(model)
    app_instance().known(image)
    if output == ResultType.dicom_seg:
        raise bad_request("The result is an image and no segmentation; output is image, json or all.")
    fields = _fields(params)
    return run_inference(background, model, image, params=json.dumps(fields), file=None, label=None, output=output)


@app.post("/activelearning/{strategy}", tags=["ActiveLearning"])
def propose(strategy: str, params: Params = None) -> Any:
    """The next image to look at."""
    app_instance().strategy(strategy)
    return activelearning.sample(strategy, params)


@app.post("/train/{model}", tags=["Train"])
def start_training(model: str, params: Params = None) -> Any:
    """Start to fine-tune, in a process of its own."""
    instance = app_instance()
    instance.trainer(model).check(Training.of(params or {}), instance.datastore())
    return train.run_model(model, params or {}, run_sync=False, enqueue=False)


@app.put("/datastore/", tags=["Datastore"])
def add_image(
    file: Annotated[UploadFile, File()], image: str = "", params: Annotated[str, Form()] = "{}"
) -> dict[str, str]:
    """Add an image; its id is given, or the name of the file without suffix."""
    stem, suffix = split_suffix(Path(file.filename or "").name)
    with tempfile.TemporaryDirectory(prefix="lowlight-label-") as folder:
        received = Path(folder) / f"received{suffix.lower()}"
        with received.open("wb") as stream:
            shutil.copyfileobj(file.file, stream)
        return {"image": app_instance().datastore().add_image(image or stem, str(received), _fields(params))}


@app.exception_handler(MONAILabelException)
def _refused_by_monai_label(_: Request, error: MONAILabelException) -> JSONResponse:
    return JSONResponse({"detail": error.msg}, 404)


@app.exception_handler(json.JSONDecodeError)
def _no_json(_: Request, error: json.JSONDecodeError) -> JSONResponse:
    return JSONResponse({"detail": "params or info is not JSON."}, 400)


def _fields(params: str) -> dict[str, Any]:
    fields = json.loads(params or "{}")
    if not isinstance(fields, dict):
        raise bad_request("params is not a JSON object.")
    return fields
