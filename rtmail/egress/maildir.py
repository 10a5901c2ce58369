"""Outgoing mail into a Maildir: one file for each copy, headed as a delivery agent would head it.

Used where no relay is set up yet (`make run`) and by those who collect mail otherwise. A second try of the same outbox
row finds the file of the first one and writes nothing.
"""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from pathlib import Path

from rtmail.egress.fate import Examined, Fate, PutOff
from rtmail.failpoint import failpoint
from rtmail.store.outbox import Sent

PARTS = ("tmp", "new", "cur")


class MaildirRelay:
    """Delivers below `folder`, which is made when missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, sender: str, recipient: str, raw: bytes, *, outbox_id: int, again: bool = False) -> Fate:
        """Write one copy; PutOff when the disk does not take it. See `relay.Relay.send`."""
        return await asyncio.to_thread(self._deliver, sender, recipient, raw, outbox_id, again)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def examine(self, sender: str, recipient: str) -> Examined:
        """Look whether the folders can be written to."""
        try:
            self._make()
        except OSError as error:
            return Examined(False, "maildir", f"{self._folder}: {error.strerror or error}")
        if not all(os.access(self._folder / part, os.W_OK | os.X_OK) for part in PARTS):
            return Examined(False, "maildir", f"{self._folder}: may not be written to")
        return Examined(True, "maildir", f"mail is written to {self._folder}")

    def _make(self) -> None:
        # Folders that are missing on the way, the state folder first of all, must be as private: mkdir(parents=True) leaves them open.
        missing = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        for folder in (*reversed(missing), *(self._folder / part for part in PARTS)):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _deliver(self, sender: str, recipient: str, raw: bytes, outbox_id: int, again: bool) -> Fate:
        head = f"Return-Path: <{sender}>\nDelivered-To: {recipient}\n".encode()
        copy = head + raw.replace(b"\r\n", b"\n")
        # The digest tells copies apart that carry the same number, after the database was begun anew.
        name = f"{outbox_id:09d}.{sha256(copy).hexdigest()[:16]}.rtmail"
        try:
            self._make()
            if not (again and self._collected(name)):
                self._write(name, copy)
        except OSError as error:
            return PutOff(f"{self._folder}: {error.strerror or error}", "maildir", relay_down=True)
        return Sent(f"250 2.0.0 {name}")

    def _collected(self, name: str) -> bool:
        """Tell whether a reader has moved the copy to cur since; only a repeated try needs to look."""
        return any(entry.name.startswith(name) for entry in os.scandir(self._folder / "cur"))

    def _write(self, name: str, copy: bytes) -> None:
        temporary, final = self._folder / "tmp" / name, self._folder / "new" / name
        with temporary.open("wb") as file:
            file.write(copy)
            file.flush()
            os.fsync(file.fileno())
        failpoint("relay-before-dot")
        # The same name holds the same bytes, so a repeated try may well replace the file.
        temporary.replace(final)
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        failpoint("relay-after-dot")
