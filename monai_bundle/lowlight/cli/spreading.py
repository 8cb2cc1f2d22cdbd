"""A batch that is done by a cluster."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

from lowlight.batch.doing import Job
from lowlight.batch.enhancing import Wishes
from lowlight.batch.recording import Event
from lowlight.batch.signals import interruption
from lowlight.cli.batch import Batch, Spread, is_folder
from lowlight.imaging.filetype import split_suffix
from lowlight.services.cluster.connecting import require_dask


def spread_over(
    where: str, wishes: Wishes, batch: Batch, value_range: tuple[float, float] | None, names: Mapping[Path, str]
) -> Spread:
    """How the groups of a batch are done in a cluster.

    Args:
        where: its address, checked.
        wishes: what is asked of the enhancement.
        batch: whose groups. value_range: (black, white) for files that do not say.
        names: what files are called on a page; empty without one.
    """

    require_dask()

    def spread(groups: Iterable[Sequence[Job]]) -> Generator[Sequence[Event]]:
        from lowlight.enhance.settings import Settings
        from lowlight.services.cluster.connecting import Address
        from lowlight.services.cluster.groups import do_elsewhere
        from lowlight.services.cluster.process import Order

        order = Order(wishes, Settings.read(), batch.dicom, batch.compress, value_range, batch.debug)
        output = batch.plan.output
        folder = output if is_folder(output) or not split_suffix(output.name)[1] else output.parent
        batch.report.show("starting the workers")
        return do_elsewhere(Address.of(where), order, groups, folder, names, interruption.check, batch.report.note)

    return spread
