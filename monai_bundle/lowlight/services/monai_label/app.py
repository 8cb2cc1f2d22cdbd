"""What MONAI Label loads: the tasks of this app over its datastore. Runs in the server's environment."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask

import lowlight
from lowlight.services.monai_label.datastore import RatedDatastore
from lowlight.services.monai_label.enhancing import EnhanceTask
from lowlight.services.monai_label.refusals import bad_request, not_found

MODEL = "lowlight"
FINE_TUNED = "lowlight_finetuned"


class LowLightApp(MONAILabelApp):
    """Enhances images, takes ratings, proposes the worst image next, and fine-tunes.

    Args:
        app_dir: folder of the app. studies: folder of images. conf: of the command line; nothing is read from it.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._results = Path(tempfile.mkdtemp(prefix="lowlight-label-"))
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
        """The folder of images; archives are the business of `lowlight pacs`."""
        if self.studies.startswith(("http://", "https://")):
            raise bad_request("This app serves a folder of images; for an archive there is `lowlight pacs`.")
        return RatedDatastore(
            self.studies,
            extensions=settings.MONAI_LABEL_DATASTORE_FILE_EXT,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
        )

    def init_infers(self) -> dict[str, InferTask]:
        """One task over the installed bundle, one over the weights that were fine-tuned here, once there are some."""
        return {
            MODEL: EnhanceTask("Enhance with the weights that ship with LowLightEnhance", None, self._results),
        }

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Enhance an image of the datastore, named by its id.

        Raises:
            HTTPException: 404 for an unknown model or image; else see `EnhanceTask`.
        """
        self.task(request.get("model"))
        self.known(request.get("image"))
        # Saved by those who have looked at it, with their rating.
        return super().infer(request, datastore)

    def task(self, model: Any) -> InferTask:
        """An infer task by name. Raises: HTTPException 404."""
        task = self._infers.get(model) if isinstance(model, str) else None
        if task is None or not task.is_valid():
            names = ", ".join(name for name, one in self._infers.items() if one.is_valid())
            raise not_found(f"There is no such model; there are: {names}.")
        return task

    def known(self, image: Any) -> str:
        """The id of an image of the datastore. Raises: HTTPException 400 for a path, 404 for an unknown id."""
        if isinstance(image, str) and image in self._datastore.list_images():
            return image
        if isinstance(image, str) and ("/" in image or "\\" in image):
            raise bad_request("Images are named by their id in the datastore, not by a path.")
        raise not_found("There is no such image in the datastore; GET /datastore/?output=all lists them.")

    def close(self) -> None:
        """Remove what was not asked for any more."""
        shutil.rmtree(self._results, ignore_errors=True)
