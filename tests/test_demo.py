"""`rtmail demo`: the week is played to its end, and what it shows is what the store holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rtmail.store import Fate, Store


def test_a_week_is_played_and_its_mails_are_left_behind(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "rtmail", "demo", "--folder", str(tmp_path / "demo")]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    played, _, ended = ran.stdout.partition("\n\n")
    assert max(map(len, ran.stdout.splitlines()[:-1])) <= 80
    assert "Mon 13:20    escalation -> Tom: [Example #1] Escalation P1" in played
    assert re.search(r"first-response\s+Mon 10:12\s+Mon 09:20\s+52 minutes early", ended)
    assert re.search(r"triage\s+Tue 22:45\s+Tue 22:52\s+missed by 7 minutes", ended)

    state = tmp_path / "demo" / "var"
    left = {path.name for path in (state / "sent" / "new").iterdir()}
    assert str(state / "sent") in ended
    store = Store("sqlite:///rtmail.db", state)
    store.open()
    try:
        assert len(left) == len(list(store.list_outbox(Fate.SENT))) == played.count(" -> ")
        assert store.outbox_depth() == 0
        for summary in store.list_tickets(statuses=None):
            assert store.replayed(summary.id) == store.ticket(summary.id)
    finally:
        store.close()

    again = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert again.returncode == 2
    assert "name another folder" in again.stderr
