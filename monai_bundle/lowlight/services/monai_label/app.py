"""What MONAI Label loads: the tasks of this app over its datastore. Runs in the server's environment."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.random import Random

import lowlight
from lowlight.errors import InputError
from lowlight.services.monai_label.datastore import RatedDatastore, check_tag
from lowlight.services.monai_label.enhancing import EnhanceTask
from lowlight.services.monai_label.proposing import MostDamaged
from lowlight.services.monai_label.refusals import bad_request, not_found
from lowlight.services.monai_label.training import FineTuneTask

MODEL = "lowlight"
FINE_TUNED = "lowlight_finetuned"


class LowLightApp(MONAILabelApp):
    """Enhances images, takes ratings, proposes the worst image next, and fine-tunes.

    Args:
        app_dir: folder of the app. studies: folder of images. conf: of the command line; nothing is read from it.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._results = Path(app_dir) / "results"
        self._fine_tuning = FineTuneTask(Path(app_dir) / "model")
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="LowLightEnhance",
            description="Makes dark, noisy, blurred or JPEG-damaged medical images readable. Not a medical device.",
            version=lowlight.__version__,
            labels=[],
        )

    def init_datastore(self) -> RatedDatastore:
        """The folder of images; archives are served by `lowlight pacs`."""
        if self.studies.startswith(("http://", "https://")):
            raise InputError(self.studies, "is no folder of images", "for an archive there is `lowlight pacs`")
        # MONAI Label turns this off in the processes that it starts: there is one writer, the server.
        writes = settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD
        return RatedDatastore(self.studies, settings.MONAI_LABEL_DATASTORE_FILE_EXT, auto_reload=writes)

    def init_infers(self) -> dict[str, InferTask]:
        """One over the installed bundle, one over the weights that were fine-tuned here, once there are some."""
        return {
            MODEL: EnhanceTask("Enhance with the weights of LowLightEnhance", None, self._results),
            FINE_TUNED: EnhanceTask("Enhance with the weights tuned here", self._fine_tuning.bundle, self._results),
        }

    def init_strategies(self) -> dict[str, Strategy]:
        """The worst first, or any."""
        return {"most_damaged": MostDamaged(), "random": Random()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """One, whose result is the fine-tuned model."""
        return {FINE_TUNED: self._fine_tuning}

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Enhance an image of the datastore, named by its id; with "save_label" keep the result under "label_tag".

        Raises:
            HTTPException: 404 for an unknown model or image; else see `EnhanceTask`.
        """
        self.task(request.get("model"))
        self.known(request.get("image"))
        if not isinstance(request.get("save_label", False), bool):
            raise bad_request("save_label is neither true nor false.")
        if "label_tag" in request:
            check_tag(request["label_tag"])
        return super().infer(request, datastore)

    def task(self, model: Any) -> InferTask:
        """An infer task by its name. Raises: HTTPException 404."""
        return _named({name: task for name, task in self._infers.items() if task.is_valid()}, model, "model")

    def trainer(self, model: Any) -> TrainTask:
        """A train task by its name. Raises: HTTPException 404."""
        return _named(self._trainers, model, "model to train")

    def strategy(self, strategy: Any) -> Strategy:
        """A strategy by its name. Raises: HTTPException 404."""
        return _named(self._strategies, strategy, "strategy")

    def known(self, image: Any) -> str:
        """The id of an image of the datastore. Raises: HTTPException 400 for a path, 404 for an unknown id."""
        if isinstance(image, str) and image in self._datastore.list_images():
            return image
        if isinstance(image, str) and ("/" in image or "\\" in image):
            raise bad_request("Images are named by their id in the datastore, not by a path.")
        raise not_found("There is no such image in the datastore; GET /datastore/?output=all lists them.")

    def close(self) -> None:
        """Remove results that nobody has fetched."""
        shutil.rmtree(self._results, ignore_errors=True)


def _named(those: Mapping[str, Any], name: Any, what: str) -> Any:
    if isinstance(name, str) and name in those:
        return those[name]
    raise not_found(f"There is no such {what}; there is {', '.join(those)}.")
