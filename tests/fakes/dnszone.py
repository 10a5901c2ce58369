"""A zone for tests: as a `Resolver` in the process, or as a name server on a loopback port that answers with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from rtmail.engine.resolver import NoAnswer

Records = dict[tuple[str, str], tuple[Any, ...]]


@dataclass
class Zone:
    """Answers from `records`, (name, kind) -> values; names in `away` get no answer. `asked` is the log of questions."""

    records: Records = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]:
        self.asked.append((name, kind))
        if name in self.away or "*" in self.away:
            raise NoAnswer(name)
        return self.records.get((name, kind), ())

    def txt(self) -> Mapping[str, tuple[str, ...] | None]:
        """Every TXT name, as `Answers` wants it; others are asked and not there."""
        return {name: values for (name, kind), values in self.records.items() if kind == "TXT"} | dict.fromkeys(self.away)


class NameServer:
    """Serves a zone by UDP on 127.0.0.1; names in `away` are answered with SERVFAIL, those in `silent` with nothing."""

    def __init__(self, zone: Zone, silent: tuple[str, ...] = ()) -> None:
        self.zone, self.silent = zone, silent
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            question = dns.message.from_wire(data)
            name, kind = question.question[0].name.to_text(omit_final_dot=True).lower(), question.question[0].rdtype.name
            self.zone.asked.append((name, kind))
            if name in self.silent or "*" in self.silent:
                continue
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.RA
            values = self.zone.records.get((name, kind), ())
            if name in self.zone.away:
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif values:
                answer.answer.append(dns.rrset.from_text_list(f"{name}.", 300, "IN", kind, [_written(kind, value) for value in values]))
            elif not any(known == name for known, _ in self.zone.records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            try:
                self._socket.sendto(answer.to_wire(), peer)
            except OSError:
                return


def _written(kind: str, value: Any) -> str:
    if kind == "TXT":
        return " ".join(f'"{value[at:at + 200]}"' for at in range(0, len(value), 200))
    return f"{value[0]} {value[1]}." if kind == "MX" else str(value)
