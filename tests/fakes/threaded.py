"""Threads as a mail client builds them: Jamie Zawinski's algorithm (https://www.jwz.org/doc/threading.html, RFC 5256 too).

Reference for tests, written from the description: ids link messages by References (In-Reply-To where there are none), empty
containers are pruned, and roots of the same subject are gathered as the algorithm's step 5 says, which `by_subject` leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.message import Message

_ID = re.compile(r"<[^<>\s]+>")
_PREFIX = re.compile(r"^\s*(?:re|aw|sv|antw)\s*(?:\[\d+\])?\s*:\s*", re.IGNORECASE)


@dataclass(eq=False)
class Container:
    """A place in a thread; `mail` is None for an id that was only cited."""

    message_id: str
    mail: Message | None = None
    parent: Container | None = None
    children: list[Container] = field(default_factory=list)

    def walk(self) -> Iterable[Container]:
        yield self
        for child in self.children:
            yield from child.walk()

    def above(self, other: Container) -> bool:
        return any(one is other for one in self.walk())

    def put_under(self, parent: Container | None) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        if parent is not None:
            parent.children.append(self)


def threads(mails: Sequence[Message], *, by_subject: bool = False) -> list[list[Message]]:
    """Return the threads of a mailbox, each as its mails; without `by_subject` only ids count."""
    table: dict[str, Container] = {}
    for at, mail in enumerate(mails):
        _insert(table, mail, at)
    roots = [kept for one in table.values() if one.parent is None for kept in _pruned(one, root=True)]
    if by_subject:
        roots = _gathered(roots)
    found = [[one.mail for one in root.walk() if one.mail is not None] for root in roots]
    return [thread for thread in found if thread]


def _insert(table: dict[str, Container], mail: Message, at: int) -> None:
    own = next(iter(_ID.findall(str(mail["Message-ID"] or ""))), f"<none-{at}>")
    here = table.setdefault(own, Container(own))
    if here.mail is not None:  # the same id twice: another place, as step 1.A has it
        here = table[f"{own}#{at}"] = Container(f"{own}#{at}")
    here.mail = mail
    cited = _ID.findall(str(mail["References"] or "")) or _ID.findall(str(mail["In-Reply-To"] or ""))[:1]
    before: Container | None = None
    for message_id in cited:
        one = table.setdefault(message_id, Container(message_id))
        if before is not None and one.parent is None and not one.above(before):
            one.put_under(before)
        before = one
    if before is not None and not here.above(before):
        here.put_under(before)


def _pruned(one: Container, *, root: bool) -> list[Container]:
    """Step 4: empty containers without children go, those with children give them up (a root keeps several together)."""
    for child in list(one.children):
        kept = _pruned(child, root=False)
        if kept != [child]:
            child.put_under(None)
            for grandchild in kept:
                grandchild.put_under(one)
    if one.mail is not None:
        return [one]
    if root and len(one.children) > 1:
        return [one]
    children = list(one.children)
    for child in children:
        child.put_under(None)
    return children


def _gathered(roots: Sequence[Container]) -> list[Container]:
    """Step 5: threads that begin with the same subject, one of them an answer, become one."""
    by_subject: dict[str, Container] = {}
    kept: list[Container] = []
    for root in roots:
        first = root.mail or root.children[0].mail
        subject = str(first["Subject"] or "") if first is not None else ""
        bare = _PREFIX.sub("", subject).strip().lower()
        known = by_subject.get(bare)
        if not bare or known is None:
            by_subject.setdefault(bare, root)
            kept.append(root)
        else:
            root.put_under(known)
    return kept
