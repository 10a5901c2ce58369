"""What people wrote, changed or erased wherever it is kept: bytes, words, search, outgoing copies, traces of how it was judged.

Events stay; they hold ids and facts only. After a commit `forget` makes sure that the database's own log keeps none of it either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from rtmail.mail.model import Attachment
from rtmail.store.database import places, reads, writes
from rtmail.store.forgetting import ERASED
from rtmail.store.holds import Held
from rtmail.store.search import Search
from rtmail.store.tickets import attachments_text
from rtmail.store.values import clean, dump, load, micros, pack

_TO_FORGET = "to-forget"


class Erasing(Search):
    """The erasing part of the store."""

    @writes
    def fill_content(self, content_id: int, subject: str, text: str, attachments: Iterable[Attachment], raw_id: int) -> None:
        """Give an event whose words waited its words, and let them be found."""
        said = self._row("SELECT text FROM content WHERE id = ?", (content_id,))
        if said and said[0] != clean(text):
            self._refill(content_id, clean(text))
        self._unindex(content_id)
        self._do("UPDATE content SET subject = ?, text = ?, html = '', attachments = ?, raw_id = ?, erased = 0 WHERE id = ?",
                 (clean(subject), clean(text), attachments_text(attachments), raw_id, content_id))
        self._index([(content_id, clean(subject), clean(text))])

    @writes
    def erase_content(self, content_id: int) -> None:
        """Empty the words of an event and take them out of the search; the event stays."""
        self._unindex(content_id)
        self._do("UPDATE content SET subject = '', text = '', html = '', attachments = '[]', party = 0, erased = 1 WHERE id = ?",
                 (content_id,))
        self._refill(content_id, ERASED)

    def _refill(self, content_id: int, text: str) -> None:
        """Put `text` in the place of what was filled in by the event of these words, where it stands on its request."""
        row = self._row("SELECT e.ticket_id, e.seq, t.filled FROM content c JOIN event e ON e.ticket_id = c.ticket_id AND e.content_id = "
                        "c.id JOIN ticket t ON t.id = e.ticket_id WHERE c.id = ? AND e.kind = 'field'", (content_id,))
        if row is None:
            return
        ticket_id, seq, filled = row
        changed = {name: {**entry, "value": text, "said": ""} if entry["seq"] == seq else entry for name, entry in load(filled).items()}
        self._do("UPDATE ticket SET filled = ? WHERE id = ?", (dump(changed), ticket_id))

    @writes
    def erase_subject(self, ticket_id: int, subject: str = "") -> None:
        """Put `subject` in the place of a ticket's."""
        self._do("UPDATE ticket SET subject = ? WHERE id = ?", (clean(subject), ticket_id))

    @writes
    def erase_raw(self, raw_id: int) -> None:
        """Empty the bytes of a kept mail; what was settled with it stays."""
        self._do("UPDATE raw SET packed = NULL WHERE id = ?", (raw_id,))

    @writes
    def change_raw(self, raw_id: int, raw: bytes) -> None:
        """Put `raw` in the place of a kept mail's bytes. The hash by which the same bytes are known stays that of the old ones."""
        self._do("UPDATE raw SET packed = ?, size_bytes = ? WHERE id = ?", (pack(raw), len(raw), raw_id))
        self._forget_later()

    @writes
    def change_trace(self, spool_id: int, change: Callable[[str], str]) -> None:
        """Change the words of how a mail was judged, and of why it failed."""
        failed = self._row("SELECT reason FROM spool WHERE id = ? AND outcome = 'quarantined'", (spool_id,))
        if failed:
            self._do("UPDATE spool SET reason = ? WHERE id = ?", (change(failed[0]), spool_id))
        row = self._row("SELECT verdict FROM trace WHERE spool_id = ?", (spool_id,))
        if row:
            self._do("UPDATE trace SET verdict = ? WHERE spool_id = ?", (dump(_changed(load(row[0]), change)), spool_id))

    @writes
    def erase_mail(self, spool_id: int) -> None:
        """Erase the bytes of a mail and of those that came in as the same one, and what they are recognised by."""
        self.erase_copies(spool_id)
        self._do("UPDATE raw SET packed = NULL WHERE id IN (SELECT raw_id FROM spool WHERE id = ?)", (spool_id,))
        self._do("DELETE FROM seen WHERE spool_id = ?", (spool_id,))
        # Why a mail failed may quote it.
        self._do("UPDATE spool SET reason = 'erased' WHERE id = ? AND outcome = 'quarantined'", (spool_id,))
        self._forget_later()

    @writes
    def erase_copies(self, spool_id: int) -> None:
        """Erase the bytes of the mails that came in as the same one again, by another road."""
        self._do("UPDATE raw SET packed = NULL WHERE id IN (SELECT raw_id FROM spool WHERE outcome = 'ignored' AND reason = ?) "
                 "AND id NOT IN (SELECT raw_id FROM spool WHERE id = ?)", (f"duplicate of spool {spool_id}", spool_id))
        self._forget_later()

    @writes
    def settle_holds(self, spool_id: int, kind: str, state: Held, by: int, now: datetime) -> int:
        """End the holds of this kind that wait on a mail; return how many."""
        return self._do("UPDATE hold SET state = ?, settled_by = ?, settled_at = ? WHERE spool_id = ? AND kind = ? AND state = 'waiting'",
                        (str(state), by, micros(now), spool_id, kind))

    @reads
    def copies_of(self, ticket_id: int) -> list[int]:
        """Return the outgoing mails of a ticket whose bytes are kept, those that joined others among them."""
        return [id_ for (id_,) in self._rows(
            "SELECT m.id FROM outbox_mail m JOIN outbox o ON o.id = m.id WHERE o.ticket_id = ? "
            "UNION SELECT m.id FROM outbox_mail m JOIN outbox o ON o.carrier = m.id WHERE o.ticket_id = ? AND o.carrier <> 0 ORDER BY 1",
            (ticket_id, ticket_id))]

    @writes
    def change_copy(self, outbox_id: int, raw: bytes) -> None:
        """Put `raw` in the place of an outgoing mail that waits; of one that went out, or failed, the bytes are erased."""
        if not self._do("UPDATE outbox_mail SET packed = ? WHERE id = ? AND EXISTS "
                        "(SELECT 1 FROM outbox o WHERE o.id = outbox_mail.id AND o.state = 'waiting')", (pack(raw), outbox_id)):
            self._do("DELETE FROM outbox_mail WHERE id = ?", (outbox_id,))
        self._forget_later()

    # -- not taken in again --

    @reads
    def fingerprints(self, spool_id: int) -> list[str]:
        """Return what a spooled mail is recognised by."""
        return [found for (found,) in self._rows("SELECT fingerprint FROM seen WHERE spool_id = ?", (spool_id,))]

    @writes
    def bury(self, digests: Iterable[str], now: datetime) -> None:
        """Note erased mails by their keyed hashes."""
        self._many("INSERT INTO tombstone (digest, at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
                   [(digest, micros(now)) for digest in sorted(set(digests))])

    @reads
    def buried(self, digests: Iterable[str]) -> bool:
        """Tell whether one of these was erased."""
        wanted = sorted(set(digests))
        return bool(wanted) and self._row(f"SELECT 1 FROM tombstone WHERE digest IN {places(len(wanted))}", wanted) is not None

    # -- the log of the database --

    def _forget_later(self) -> None:
        self._do("INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT (key) DO NOTHING", (_TO_FORGET,))

    @reads
    def forgets(self) -> bool:
        """Tell whether something was erased since `forget`."""
        return self._row("SELECT 1 FROM meta WHERE key = ?", (_TO_FORGET,)) is not None

    def forget(self) -> bool:
        """Empty the write-ahead log of what was erased; False when somebody who reads keeps it: to be tried again."""
        self.run(lambda: self._do("DELETE FROM meta WHERE key = ?", (_TO_FORGET,)))
        if self._engine.forget():
            return True
        self.run(self._forget_later)
        return False


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _changed(one, change) for key, one in value.items()}
    return value
