"""Full-text search over subjects and conversation. Each engine does it its own way; what is found is the same.

The index holds no text of its own: FTS5 is kept without a copy, so an entry is taken out with the very words that it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rtmail.store.database import Database, places, reads
from rtmail.store.terms import terms

MOST_TERMS = 10
EVERYDAY = 1000
"""A word in more texts than this tells little, and asking for it costs by their number."""
EVERYDAY_PIECES = 2
"""So many pieces without any other word are looked for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Words that were found: their ticket (row id) and themselves."""

    ticket: int
    content: int
    subject: str
    text: str


class Search(Database):
    """The search part of the store."""

    def _index(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Let (content id, subject, text) be found."""
        said = [(id_, terms(f"{subject} {text}")) for id_, subject, text in rows]
        if self._engine.name == "sqlite":
            self._many("INSERT INTO words (rowid, said) VALUES (?, ?)", [(id_, " ".join(words)) for id_, words in said])
        else:
            self._many("INSERT INTO words (content_id, said) VALUES (?, array_to_tsvector(CAST(? AS text[])))", said)

    def _unindex(self, content_id: int) -> None:
        """Let the words of an event be found no more, while they still stand in their row."""
        if self._engine.name != "sqlite":
            self._do("DELETE FROM words WHERE content_id = ?", (content_id,))
            return
        row = self._row("SELECT subject, text FROM content WHERE id = ? AND erased = 0", (content_id,))
        if row:
            self._do("INSERT INTO words (words, rowid, said) VALUES ('delete', ?, ?)", (content_id, " ".join(terms(f"{row[0]} {row[1]}"))))
            # Deleted words stay in old segments of the index until these are merged; erased is erased.
            self._do("INSERT INTO words (words) VALUES ('optimize')")

    def _matching(self, fts5: Sequence[str], tsquery: Sequence[str], limit: int) -> list[int]:
        if self._engine.name == "sqlite":
            rows = self._rows("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?", (" ".join(fts5), limit))
        else:
            rows = self._rows("SELECT content_id FROM words WHERE said @@ CAST(? AS tsquery) ORDER BY content_id DESC LIMIT ?",
                              (" & ".join(tsquery), limit))
        return [id_ for (id_,) in rows]

    @reads
    def texts_with(self, pieces: Sequence[str], kinds: Sequence[str], besides: int, limit: int = 20) -> list[tuple[int, str]]:
        """Return (ticket, text) of events of these kinds that hold all words of a piece, the latest first; `limit` a piece at most.

        besides   the ticket (row id) that is not looked at
        The cost is bounded whatever the store holds: two words that few texts have find a piece; who asks compares the texts.
        """
        ids: set[int] = set()
        left = EVERYDAY_PIECES
        for piece in pieces:
            wanted = terms(piece)[:MOST_TERMS]
            if wanted and self._engine.name == "sqlite":
                rare = [term for term in wanted if not self._is_everyday(term)]
                left -= not rare
                if not rare and left < 0:
                    continue
                wanted = rare[:2] if len(rare) > 1 else [*rare, *(term for term in wanted if term not in rare)][: 3 if rare else None]
            if wanted:
                ids.update(self._matching([f'"{term}"' for term in wanted], [f"'{term}'" for term in wanted], limit))
        if not ids:
            return []
        return [(ticket, text) for ticket, _, text in self._rows(
            "SELECT DISTINCT c.ticket_id, c.id, c.text FROM content c JOIN event e ON e.ticket_id = c.ticket_id AND e.content_id = c.id "
            f"WHERE c.id IN {places(len(ids))} AND c.erased = 0 AND c.ticket_id <> ? AND e.kind IN {places(len(kinds))} "
            "ORDER BY c.id DESC", (*sorted(ids), besides, *kinds))]

    @cached_property
    def _everyday(self) -> set[str]:
        """Words that were found in many texts; they stay such."""
        return set()

    def _is_everyday(self, term: str) -> bool:
        if term not in self._everyday:
            if not self._rows("SELECT rowid FROM words WHERE words MATCH ? LIMIT 1 OFFSET ?", (f'"{term}"', EVERYDAY)):
                return False
            self._everyday.add(term)
        return True

    @reads
    def search(self, said: str, limit: int = 200) -> list[Hit]:
        """Return what holds all the words of `said`, the latest first; at most `limit`. With room left, words that begin with them too."""
        wanted = terms(said)[:MOST_TERMS]
        if not wanted:
            return []
        # The words themselves are found at once among a million; all that begin with them only by reading all of those.
        ids = self._matching([f'"{term}"' for term in wanted], [f"'{term}'" for term in wanted], limit)
        if len(ids) < limit:
            ids = self._matching([f'"{term}"*' for term in wanted], [f"'{term}':*" for term in wanted], limit)
        if not ids:
            return []
        return [Hit(ticket, id_, subject, text) for ticket, id_, subject, text in self._rows(
            f"SELECT ticket_id, id, subject, text FROM content WHERE id IN {places(len(ids))} AND erased = 0 ORDER BY id DESC", ids)]
