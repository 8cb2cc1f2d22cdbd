"""The ledger: entries have names of their own and one fate, whatever comes between."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from lowlight.errors import InputError
from lowlight.imaging.filetype import SUFFIXES
from lowlight.services.cluster import places
from lowlight.services.cluster.ledger import Ledger, State, Verdict
from lowlight.services.cluster.manifest import Manifest


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(tmp_path / "out")
    yield opened
    opened.close()


def add(ledger: Ledger, *paths: str | Path, root: str = "/data", size: int = 4, largest: int = 8) -> None:
    for _ in ledger.add(map(Path, paths), Path(root), size, largest):
        pass


def all_entries(ledger: Ledger) -> list:
    return [entry for chunk in ledger.open_chunks() for entry in ledger.entries(chunk)]


def test_sub_folders_stay_and_no_two_results_can_share_a_name(ledger: Ledger) -> None:
    names = ["a/x.png", "a/x.jpg", "a/x", "a/X.PNG", "a/x.jpg.png", "b/x.png", "x.nii.gz", "a/x-2.dcm", "1.2.840.1"]
    add(ledger, *(f"/data/{name}" for name in names), "/other/x.png", "/other/x.png")
    found = all_entries(ledger)
    assert len(found) == len(names) + 1, "the same path twice is one entry"
    assert [entry.place for entry in found][:2] == ["a/x", "a/x.jpg"]
    assert found[5].place == "b/x"
    assert found[6].place == "x"
    assert found[-1].place == "elsewhere/other/x"
    # Whatever kinds they turn out to be, on a disk that does not know large letters from small ones.
    results = [{str(places.target(entry.place, entry.path, kind)).lower() for kind in SUFFIXES} for entry in found]
    for one, other in itertools.combinations(results, 2):
        assert not one & other


def test_no_folder_gets_more_than_a_thousand_results(ledger: Ledger) -> None:
    add(ledger, *(f"/data/flat/{number}.png" for number in range(2500)), size=32)
    folders = [entry.place.rpartition("/")[0] for entry in all_entries(ledger)]
    assert {folder: folders.count(folder) for folder in set(folders)} == {
        "flat": 1000,
        "flat/part-2": 1000,
        "flat/part-3": 500,
    }


def test_files_of_a_folder_that_may_share_a_tone_stay_in_one_chunk(ledger: Ledger) -> None:
    add(ledger, *(f"/data/a/{number}" for number in range(7)), *(f"/data/b/{number}.png" for number in range(7)))
    assert [len(ledger.entries(chunk)) for chunk in ledger.open_chunks()] == [7, 4, 3]


def test_an_entry_has_one_fate(ledger: Ledger) -> None:
    add(ledger, *(f"/data/{number}.png" for number in range(6)))
    first, second = ledger.open_chunks()
    done = Verdict(1, State.DONE, result="0.png", unchanged=True)
    refused = Verdict(2, State.REFUSED, "/data/1.png: is empty; copy it again")
    assert ledger.record(first, [done, refused]) == [done, refused]
    assert ledger.record(first, [done, Verdict(2, State.DONE, result="1.png")]) == [], "what came late changes nothing"
    counts = ledger.counts()
    assert (counts[State.DONE], counts[State.REFUSED], counts[State.WAITING]) == (1, 1, 4)
    assert ledger.unchanged() == 1
    assert list(ledger.not_done()) == [(Path("/data/1.png"), State.REFUSED, refused.reason)]
    ledger.record(first, [Verdict(number, State.DONE, result="x") for number in (3, 4)])
    assert list(ledger.open_chunks()) == [second]
    assert ledger.retry() == 1
    assert list(ledger.open_chunks()) == [first, second]
    assert ledger.counts()[State.WAITING] == 3
    assert ledger.check() == "ok"


def test_what_lies_among_the_results_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    add(ledger, tmp_path / "out" / "a.png", tmp_path / "b.png", root=str(tmp_path))
    ((path, state, reason),) = ledger.not_done()
    assert (path, state) == (tmp_path / "out" / "a.png", State.REFUSED)
    assert "lies in the folder of the results" in reason


def test_two_runs_at_once_are_refused(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="is being worked on by another lowlight archive"):
        Ledger(ledger.output)


def test_a_list_that_was_read_half_is_read_on(tmp_path: Path) -> None:
    paths = [Path(f"/data/{number}") for number in range(30_000)]
    first = Ledger(tmp_path)
    next(first.add(paths, Path("/data"), 32, 1000))
    first.close()
    again = Ledger(tmp_path)
    assert 0 < again.total() < len(paths)
    add(again, *paths, size=32, largest=1000)
    assert again.total() == len(paths)
    found = all_entries(again)
    assert [entry.path for entry in found] == paths
    assert len({entry.place for entry in found}) == len(paths)
    again.close()


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / ".lowlight").mkdir()
    (tmp_path / ".lowlight" / "ledger.sqlite3").write_bytes(b"something else" * 1000)
    with pytest.raises(InputError, match="is no ledger of an archive"):
        Ledger(tmp_path)
    # The lock is free again.
    (tmp_path / ".lowlight" / "ledger.sqlite3").unlink()
    Ledger(tmp_path).close()


def test_lists_are_text_or_csv_with_paths_that_count_from_their_folder(tmp_path: Path) -> None:
    text = tmp_path / "list.txt"
    text.write_bytes(b"\xef\xbb\xbfa b.png\r\n\r\n/abs/\xff.dcm\n../c.png")
    wanted = [tmp_path / "a b.png", Path("/abs/\udcff.dcm"), tmp_path.parent / "c.png"]
    assert list(Manifest.of(text).paths()) == wanted
    table = tmp_path / "list.csv"
    table.write_text('Patient,Path\n7,"x,y.png"\n8,z.png\n')
    assert list(Manifest.of(table).paths()) == [tmp_path / "x,y.png", tmp_path / "z.png"]
    assert Manifest.of(table).root() == tmp_path
    table.write_text('\ufeff"Name, first name";Path\n7;x,y.png\n8;z.png\n')
    assert list(Manifest.of(table).paths()) == [tmp_path / "x,y.png", tmp_path / "z.png"]
    table.write_text("x;y.png\nz.png\n")
    assert list(Manifest.of(table).paths()) == [tmp_path / "x;y.png", tmp_path / "z.png"]
    table.write_text("/data/a/b/1.png\n/data/a/c/2.png\n")
    assert list(Manifest.of(table).paths()) == [Path("/data/a/b/1.png"), Path("/data/a/c/2.png")]
    assert Manifest.of(table).root() == Path("/data/a")


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.dcm").write_bytes(bytes(200))
    with pytest.raises(InputError, match="is no list of paths"):
        Manifest.of(tmp_path / "image.dcm")
    with pytest.raises(InputError, match="cannot be read"):
        Manifest.of(tmp_path / "missing.txt")
