"""DNS for the checks of a sender: answers that are remembered a while, and trouble that costs no mail its turn.

`Resolver` is all that `sender_checks` needs; `DnsResolver` is the one that asks the world, by dnspython.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rtmail.errors import RtmailError

REMEMBERED = 5000
LONGEST_SECONDS = 3600.0
NO_SUCH_NAME_SECONDS = 300.0
TROUBLE_SECONDS = 30.0
"""After a name, or all of DNS, gave no answer it is left in peace so long."""
TROUBLES = 8
"""So many names in a row without an answer are DNS being away."""


class NoAnswer(RtmailError):  # noqa: N818  (the sentence that a caller says)
    """DNS gave no answer in time, or a broken one: nothing is known, now."""


class Resolver(Protocol):
    """Whoever answers questions about names."""

    def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]:
        """Return the records of `kind` at `name`, () for none and for no such name.

        kind  "TXT" (str), "A" and "AAAA" (str), "MX" ((preference, name)), "PTR" (str)
        Raises NoAnswer.
        """


class DnsResolver:
    """Asks the name servers of the machine, or those given; from any thread.

    nameservers  "address" or "address:port", IPv6 as "[address]:port"; () for those of /etc/resolv.conf
    """

    def __init__(self, nameservers: Sequence[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._nameservers, self._clock = tuple(nameservers), clock
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[float, tuple[Any, ...] | None]] = OrderedDict()
        self._troubles, self._rests_until = 0, 0.0
        self._library: Any = None

    def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]:
        key, now = (name.rstrip(".").lower(), kind), self._clock()
        with self._lock:
            until, known = self._known.get(key, (0.0, None))
            if until > now:
                if known is None:
                    raise NoAnswer(name)
                return known
            if self._rests_until > now:
                raise NoAnswer(name)
            asking = self._library = self._library or _library(self._nameservers)
        records, lasts = _look_up(asking, key[0], kind, seconds)
        with self._lock:
            now = self._clock()
            self._troubles = self._troubles + 1 if records is None else 0
            if self._troubles >= TROUBLES:
                self._troubles, self._rests_until = 0, now + TROUBLE_SECONDS
            self._known[key] = (now + lasts, records)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if records is None:
            raise NoAnswer(name)
        return records


def _library(nameservers: Sequence[str]) -> Any:
    import dns.resolver

    if not nameservers:
        return dns.resolver.Resolver()
    asking = dns.resolver.Resolver(configure=False)
    asking.nameservers = []
    ports = {}
    for one in nameservers:
        address, port = split_place(one)
        asking.nameservers.append(address)
        ports[address] = port
    asking.nameserver_ports = ports
    return asking


def split_place(text: str) -> tuple[str, int]:
    """Return address and port of a name server as a config writes it. Raises ValueError."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, int(rest.removeprefix(":") or 53)
    if text.count(":") == 1:
        address, _, number = text.partition(":")
        return address, int(number)
    return text, 53


def _look_up(asking: Any, name: str, kind: str, seconds: float) -> tuple[tuple[Any, ...] | None, float]:
    """Return the records, None for no answer, and for how many seconds that is good."""
    import dns.exception
    import dns.resolver

    try:
        answer = asking.resolve(name, kind, lifetime=seconds, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return (), NO_SUCH_NAME_SECONDS
    except (dns.exception.DNSException, UnicodeError, ValueError, OSError):
        return None, TROUBLE_SECONDS
    return tuple(_plain(record, kind) for record in answer), min(max(float(answer.rrset.ttl), 1.0), LONGEST_SECONDS)


def _plain(record: Any, kind: str) -> Any:
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    if kind == "MX":
        return record.preference, record.exchange.to_text(omit_final_dot=True)
    return record.target.to_text(omit_final_dot=True) if kind == "PTR" else record.address
