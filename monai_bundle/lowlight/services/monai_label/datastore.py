"""The folder of images with what readers said of them, so that no request can reach beyond it or harm an image."""

from __future__ import annotations

from monailabel.datastore.local import LocalDatastore


class RatedDatastore(LocalDatastore):
    """MONAI Label's datastore of a folder."""
