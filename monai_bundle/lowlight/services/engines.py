"""The loaded bundle, with one engine for each wish."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

from lowlight.bundle import DEFAULT_SIZE
from lowlight.enhance import Enhancer

Wish = tuple[str, str]
"""Engine and device, as `Enhancer` takes them."""


class Engines:
    """Loads what is asked for once and keeps it.

    Args:
        bundle: folder; None: the one that ships with this package. engine, device: what is used unless asked otherwise.
        size: of the network, for all.

    Attributes:
        model: whose weights. strengths: defaults per modality. engine, device: what the usual wish stands for here.

    Raises:
        BundleError, DependencyError: as `Enhancer`.
    """

    def __init__(self, bundle: Path | None, engine: str, device: str, size: str = DEFAULT_SIZE) -> None:
        self._bundle, self._usual, self._size = bundle, (engine, device), size
        self._lock = threading.Lock()
        usual = Enhancer(bundle, device, engine, size=size)
        self.model, self.strengths = usual.model, usual.strengths
        self.engine, self.device = usual.engine.name, usual.engine.device
        self._loaded: dict[Wish, Enhancer] = {self._usual: usual}

    def get(self, engine: str | None, device: str | None, loading: Callable[[], None]) -> Enhancer:
        """What serves a wish; None: as usual. `loading` is called if it has to be loaded first."""
        wish = (engine or self._usual[0], device or self._usual[1])
        with self._lock:
            if wish in self._loaded:
                return self._loaded[wish]
        loading()
        enhancer = Enhancer(self._bundle, wish[1], wish[0], size=self._size)
        with self._lock:
            return self._loaded.setdefault(wish, enhancer)

    def frugal(self) -> Enhancer:
        """One that runs on the processor in as little memory as possible; all others are let go, and load again when
        they are next asked for, since what they took is not given back before."""
        with self._lock:
            self._loaded.clear()
        gc.collect()
        return Enhancer(self._bundle, device="cpu", frugal=True, size=self._size)
