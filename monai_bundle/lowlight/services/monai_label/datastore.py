"""The folder of images with what readers said of them; no request reaches beyond it, or harms an image."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore

from lowlight.errors import LowLightError
from lowlight.imaging import atomic_path
from lowlight.imaging.filetype import SUPPORTED, identify, split_suffix
from lowlight.services.monai_label.refusals import bad_request, not_found, refusal

RATINGS = range(1, 6)
LONGEST_COMMENT = 4000  # characters
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ID = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,199}")


class RatedDatastore(LocalDatastore):
    """MONAI Label's datastore of a folder, made safe: ids and tags cannot leave the folder, images are neither replaced
    nor removed, ratings are checked, files appear whole or not at all.

    A label of an image is an enhanced version of it; its tag says whose rating it bears, its info holds "rating", 1
    (useless) to 5 (excellent), and "comment". What is refused is an HTTPException whose detail says why.

    Args:
        folder: of images. extensions: patterns of their names. auto_reload: notice images that come later; without,
            the folder is only read.
    """

    def __init__(self, folder: str, extensions: list[str], auto_reload: bool) -> None:
        # Held by requests, and by the thread that watches the folder, which takes all images away for a moment.
        self._changing = threading.RLock()
        super().__init__(folder, extensions=extensions, auto_reload=auto_reload, read_only=not auto_reload)

    def ratings(self, image_id: str) -> dict[str, Any]:
        """What was rated of an image, by tag."""
        labels = self._image(image_id).labels
        return {str(tag): label.info["rating"] for tag, label in labels.items() if "rating" in label.info}

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Take a new image in. Refused: 409 an id that is taken, 415 a file that is no image."""
        if not _ID.fullmatch(image_id):
            raise bad_request("The id of an image is a file name without suffix, of at most 200 characters.")
        try:
            identify(Path(image_filename))
        except LowLightError:
            raise HTTPException(415, f"The file is no image; send {SUPPORTED}.") from None
        suffix = split_suffix(image_filename)[1]
        if not suffix:
            raise HTTPException(415, f"The file's name has no suffix of {SUPPORTED}.")
        with self._changing:
            if image_id in self._datastore.objects:
                raise HTTPException(409, "There is an image of this id, and images are never replaced.")
            self._copy(image_filename, Path(self._datastore.image_path()) / f"{image_id}{suffix}")
            info = {**image_info, "ts": int(time.time()), "name": f"{image_id}{suffix}"}
            self._datastore.objects[image_id] = ImageLabelModel(image=DataModel(info=info, ext=suffix))
            self._update_datastore_file()
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Refused: 403."""
        raise HTTPException(403, "Images are never removed through this server.")

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Keep a version of an image, with what is said of it. One of the same tag is replaced."""
        tag = check_tag(label_tag)
        check_rating(label_info)
        suffix = split_suffix(label_filename)[1]
        if not suffix:
            raise HTTPException(415, f"The label's name has no suffix of {SUPPORTED}.")
        with self._changing:
            image = self._image(image_id)
            self._copy(label_filename, Path(self._datastore.label_path(tag)) / f"{image_id}{suffix}")
            info = {**label_info, "ts": int(time.time()), "name": f"{image_id}{suffix}"}
            image.labels[tag] = DataModel(info=info, ext=suffix)
            self._update_datastore_file()
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a version of an image and what was said of it."""
        with self._changing:
            self.get_label_info(label_id, label_tag)
            Path(self.get_label_uri(label_id, label_tag)).unlink(missing_ok=True)
            del self._image(label_id).labels[label_tag]
            self._update_datastore_file()

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is known of an image."""
        self._image(image_id)
        return super().get_image_info(image_id)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to what is known of an image."""
        self.update_image_infos({image_id: info})

    def update_image_infos(self, infos: dict[str, dict[str, Any]]) -> None:
        """The same for several at once."""
        with self._changing:
            for image_id, info in infos.items():
                self._image(image_id).image.info.update(_checked(info))
            self._update_datastore_file()

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What was said of a version of an image."""
        label = self._image(label_id).labels.get(label_tag)
        if label is None:
            raise not_found("There is no label of this tag for this image.")
        return dict(label.info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add to what was said, as a rating or a comment."""
        check_rating(_checked(info))
        with self._changing:
            self.get_label_info(label_id, label_tag)
            self._image(label_id).labels[label_tag].info.update(info)
            self._update_datastore_file()

    def refresh(self) -> None:
        """Compare with the folder."""
        with self._changing:
            super().refresh()

    def list_images(self) -> list[str]:
        """Ids."""
        with self._changing:
            return list(super().list_images())

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image; empty for an unknown id."""
        with self._changing:
            return str(super().get_image_uri(image_id))

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a version of an image; empty if there is none of this tag."""
        with self._changing:
            return str(super().get_label_uri(label_id, label_tag))

    def status(self) -> dict[str, Any]:
        """Counts of images and tags."""
        with self._changing:
            return dict(super().status())

    def json(self) -> Any:
        """All that is known."""
        with self._changing:
            return super().json()

    def _image(self, image_id: str) -> ImageLabelModel:
        with self._changing:
            image = self._datastore.objects.get(image_id)
        if image is None:
            raise not_found("There is no such image in the datastore; GET /datastore/?output=all lists them.")
        return image

    def _to_id(self, file: str) -> tuple[str, str]:
        return split_suffix(file)

    def _copy(self, source: str, target: Path) -> None:
        try:
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        except LowLightError as error:
            raise refusal(error) from None

    def _update_datastore_file(self, lock: bool = True) -> None:
        with self._changing:
            content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
            file = Path(self._datastore_config_path)
            self._ignore_event_config = True
            with atomic_path(file) as temporary:
                temporary.write_text(content, encoding="utf-8")
            self._config_ts = file.stat().st_mtime


def check_tag(tag: Any) -> str:
    """A tag that can be the name of a folder. Raises: HTTPException 400."""
    text = str(getattr(tag, "value", tag))
    if not _TAG.fullmatch(text):
        raise bad_request("A tag is made of at most 64 letters, digits, - and _.")
    return text


def check_rating(info: dict[str, Any]) -> None:
    """Refuse, with 400, a rating that is none."""
    rating, comment = info.get("rating", RATINGS[0]), info.get("comment", "")
    if isinstance(rating, bool) or not isinstance(rating, int) or rating not in RATINGS:
        raise bad_request(f"rating is no whole number from {RATINGS[0]} (useless) to {RATINGS[-1]} (excellent).")
    if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
        raise bad_request(f"comment is no text of at most {LONGEST_COMMENT} characters.")


def _checked(info: Any) -> dict[str, Any]:
    if not isinstance(info, dict):
        raise bad_request("info is not a JSON object.")
    return info
