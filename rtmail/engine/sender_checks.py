"""Asks DNS what our own checks of a sender need, for a batch of mails at once, within a deadline.

Called by the engine before the mails are read; what comes back travels with the envelope into a reader, where
`mail.own_checks` judges. Mails that a trusted server judged already cost nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from rtmail.engine.resolver import NoAnswer, Resolver
from rtmail.mail.address import strict_identity
from rtmail.mail.headers import scan, unfolded
from rtmail.mail.model import Answers, Envelope
from rtmail.mail.proof import own_checks
from rtmail.mail.proof.identity import came_from_outside, is_unjudged
from rtmail.mail.site import Site

SECONDS = 6.0
"""For all questions about one batch; what is not answered by then is a temporary failure."""
HURRIED_SECONDS = 1.0
"""The same, after a batch that was not answered in time: names that never answer must not hold up everybody's mail."""
THREADS = 64
"""They only wait; more than one batch of names without an answer can occupy at once."""


class SenderChecks:
    """Finds answers for mails with its own threads; `close` ends them."""

    def __init__(self, resolver: Resolver, seconds: float = SECONDS) -> None:
        self._resolver, self._seconds, self._patience = resolver, seconds, seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="rtmail-dns")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def prepared(self, mails: Sequence[tuple[bytes, Envelope]], site: Site) -> list[Envelope]:
        """Return the envelopes, with answers where the mail is for us to check."""
        asked = [_questions(raw, envelope, site) for raw, envelope in mails]
        txt = {name: self._threads.submit(self._txt, name) for names, _ in asked for name in names}
        spf = {given: self._threads.submit(self._spf, *given) for _, given in asked if given}
        asking: list[Future[Any]] = [*txt.values(), *spf.values()]
        late = wait(asking, timeout=self._patience).not_done
        self._patience = min(HURRIED_SECONDS, self._seconds) if late else self._seconds
        out: list[Envelope] = []
        for (_, envelope), (names, given) in zip(mails, asked, strict=True):
            if not names:
                out.append(envelope)
                continue
            result, domain = _result(spf[given], ("temperror", _spf_domain(*given))) if given else ("", "")
            found = {name: _result(txt[name], None) for name in names}
            out.append(replace(envelope, answers=Answers(found, result, domain)))
        return out

    def _txt(self, name: str) -> tuple[str, ...] | None:
        try:
            return tuple(self._resolver.ask(name, "TXT", self._seconds))
        except NoAnswer:
            return None

    def _spf(self, address: str, sender: str, helo: str) -> tuple[str, str]:
        return ask_spf(self._resolver, address, sender, helo, self._seconds)


Given = tuple[str, str, str]
"""What SPF is asked about: the client's address, the envelope sender, HELO."""


def _questions(raw: bytes, envelope: Envelope, site: Site) -> tuple[tuple[str, ...], Given | None]:
    if envelope.checked:
        return (), None
    fields = scan(raw, 0, len(raw)).fields
    pairs = [(entry.name, unfolded(entry.value)) for entry in fields]
    identity = strict_identity([value for name, value in pairs if name.lower() == "from"])
    if not identity or not is_unjudged(pairs, site, envelope):
        return (), None
    names = own_checks.questions(fields, identity, site.arc_sealers)
    direct = came_from_outside(site, envelope)
    return names, (envelope.peer, envelope.sender or "", envelope.helo) if direct and names else None


def _result(future: Future[Any], otherwise: Any) -> Any:
    if not future.done():
        future.cancel()
        return otherwise
    return future.result()


def _spf_domain(_address: str, sender: str, helo: str) -> str:
    return (sender.rpartition("@")[2] or helo).lower()


def ask_spf(resolver: Resolver, address: str, sender: str, helo: str, seconds: float) -> tuple[str, str]:
    """Return what SPF says about a client (RFC 7208 2.6) and the domain it is about: of the sender, of HELO for the null sender.

    seconds  for all of its questions together
    """
    # Imported where it is needed: only mail that reached our own listener from outside comes here.
    import spf

    library: Any = spf

    class Query(library.query):  # type: ignore[misc]
        """The library's own, with every question asked of our resolver."""

        until = time.monotonic() + seconds

        def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
            wanted = str(name).rstrip(".").lower()
            if not all(0 < len(label) < 64 for label in wanted.split(".")):
                return []
            left = self.until - time.monotonic()
            try:
                if left <= 0:
                    raise NoAnswer(wanted)
                found = list(resolver.ask(wanted, qtype, left)) if qtype != "SPF" else []
            except NoAnswer as error:
                raise library.TempError(f"no answer about {wanted}") from error
            if not found and not ignore_void:
                self.void_lookups += 1
                if self.void_lookups > library.MAX_VOID_LOOKUPS:
                    raise library.PermError("too many names that are not there")
            return [(text.encode(),) for text in found] if qtype == "TXT" else found

    domain = _spf_domain(address, sender, helo)
    try:
        result, _, _ = Query(i=address, s=sender, h=helo, receiver="rtmail").check()
    except Exception:  # odd names make the library raise whatever they make it raise
        return "permerror", domain
    return str(result), domain
