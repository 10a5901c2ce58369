"""Moving in: how fast an archive of old mail becomes requests, and what of the processor that takes."""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.started import configured
from rtmail import config
from rtmail.engine.history import Historian, Terms
from rtmail.engine.office import Office
from rtmail.ops import building, opening
from rtmail.ops.moving import archive, boxes
from tests.fakes.archives import generated

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def moving(folder: Path, settings: str, count: int = 4_000) -> None:
    """Print mails a second for an archive of `count` mails of 1 KB in two mbox files, taken in once and then once more."""
    found = config.load(configured(folder, settings.replace("[store]", 'old_tags = ["Old"]\n[store]', 1)))
    old = generated(count)
    files = [folder / "support.mbox", folder / "Sent.mbox"]
    for file, sent in zip(files, (False, True), strict=True):
        file.write_bytes(old.mbox(sent=sent))
    size = sum(len(one.raw) for one in old.mails) / len(old.mails)
    store = opening.open_store(found)
    print(f"{'moving in, mails of ' + f'{size / 1000:.1f} KB':<36}{'mails/s':>9}{'ours, ms':>10}{'readers, ms':>13}")
    before = _children()
    for name in ("an mbox archive", "the same once more"):
        office = Office(building.blueprint(found), store, AT)
        taken = boxes.mboxes(files)
        begun, used = time.perf_counter(), time.process_time()
        with archive.readers() as pool:
            report = archive.take_in(store, office, Historian(store, office, Terms(), AT), taken, AT, lambda *_: None, pool=pool)
        seconds, ours = time.perf_counter() - begun, time.process_time() - used
        theirs, before = _children() - before, _children()
        print(f"  {name:<34}{report.mails / seconds:>9.0f}{ours * 1000 / report.mails:>10.2f}{theirs * 1000 / report.mails:>13.2f}")
    store.close()
    print()


def _children() -> float:
    """Seconds of the processor that ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
