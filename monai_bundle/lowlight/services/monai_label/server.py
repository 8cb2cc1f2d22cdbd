"""What HTTP requests meet: those endpoints of MONAI Label that mean something here, each with its refusals."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Form
from fastapi.routing import APIRoute, APIRouter
from monailabel.endpoints import datastore, info, train
from monailabel.endpoints.infer import ResultType, run_inference
from monailabel.interfaces.utils.app import app_instance

from lowlight.services.monai_label.refusals import bad_request

logger = logging.getLogger(__name__)

KEPT = {
    ("GET", "/info/"),
    ("GET", "/datastore/"),
    ("PUT", "/datastore/"),
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
"""Endpoints of MONAI Label that are served as they are. Not among them: those that run code on other machines' behalf
(proxy, OHIF, sessions), that show the server's log, and the one that deletes an image."""


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    instance = app_instance()
    instance.server_mode(True)
    logger.info("ready: %d images", len(instance.datastore().list_images()))
    yield
    instance.close()


app = FastAPI(title="LowLightEnhance on MONAI Label", docs_url=None, redoc_url=None, lifespan=_life)


def _kept(*routers: APIRouter) -> APIRouter:
    kept = APIRouter()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and any((method, route.path) in KEPT for method in route.methods):
                kept.routes.append(route)
    return kept


app.include_router(_kept(info.router, datastore.router, train.router))


@app.post("/infer/{model}", tags=["Infer"])
def infer(
    background: BackgroundTasks,
    model: str,
    image: str = "",
    params: str = Form("{}"),
    output: ResultType = ResultType.all,
) -> Any:
    """Enhance an image of the datastore."""
    fields = json.dumps(_fields(params))
    return run_inference(background, model, image, params=fields, file=None, label=None, output=output)


def _fields(params: str) -> dict[str, Any]:
    try:
        fields = json.loads(params or "{}")
    except ValueError:
        raise bad_request("params is not JSON.") from None
    if not isinstance(fields, dict):
        raise bad_request("params is not a JSON object.")
    return fields
