"""What a house has around it, on one bare machine: a relay that takes mail, and a name server that knows one domain.

`python neighbours.py FOLDER` runs it with the libraries that rtmail itself brings; mails go into FOLDER, one file each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rrset
from aiosmtpd.smtp import SMTP

DOMAIN = "acme.example"
RECORDS = {
    (DOMAIN, "MX"): f"10 mx.{DOMAIN}.",
    (DOMAIN, "A"): "127.0.0.1",
    (DOMAIN, "TXT"): '"v=spf1 mx -all"',
    (f"_dmarc.{DOMAIN}", "TXT"): '"v=DMARC1; p=reject"',
}


class Relay:
    """Takes every mail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        taken = len(list(self._folder.iterdir()))
        head = f"X-Recipients: {', '.join(envelope.rcpt_tos)}\n".encode()
        (self._folder / f"{taken:03}.eml").write_bytes(head + envelope.original_content)
        return f"250 2.0.0 taken as {taken}"


class Names(asyncio.DatagramProtocol):
    """Answers for the one domain; whatever else is asked for does not exist."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asked = dns.message.from_wire(data)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        (question,) = asked.question
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        if (name, kind) in RECORDS:
            answer.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, RECORDS[name, kind]))
        self._transport.sendto(answer.to_wire(), addr)


async def main(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 53))
    server = await loop.create_server(lambda: SMTP(Relay(folder), hostname="relay.acme.example"), "127.0.0.1", 2626)
    await server.serve_forever()


if __name__ == "__main__":
    mails = Path(sys.argv[1])
    mails.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(mails))
