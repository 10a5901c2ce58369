"""A relay that takes its time for each mail, as those do that look for viruses: a restart hears its answers, and sends nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes.daemon import Running, wait_for
from tests.fakes.house import mail
from tests.fakes.sink import Sink

ANSWERS_AFTER = 3.5


class Slow(Sink):
    """Has taken a mail, and says so later."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        taken = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(ANSWERS_AFTER)
        return taken


def test_a_restart_sends_nothing_twice(tmp_path: Path) -> None:
    with Slow() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        daemon.send(mail())
        sink.wait(3)
        daemon.stop()
        daemon.start()
        wait_for(lambda: not daemon.cli("outbox", "list", "--json").strip(), 40, "mail waits")
        went = [one.recipients for one in sink.mails]
        assert len(went) == len(set(went)) >= 3, went
