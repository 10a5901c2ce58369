"""Names and certificates as the world sees them: MX, SPF, DKIM and DMARC of our domains, and the listener's own certificate."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from rtmail.config import Config
from rtmail.engine.resolver import NoAnswer
from rtmail.mail.writing.dkim_sign import Signer, fault
from rtmail.ops.doctor.finding import Finding, fail, ok, warn

SECONDS = 5.0
ENDS_SOON = timedelta(days=14)
_NO_ANSWER = "see /etc/resolv.conf, or [auth] nameservers"
_RENEW = "renew it, then systemctl reload rtmail"


class Names(Protocol):
    """Whoever answers questions about names; see `engine.resolver.Resolver`."""

    def ask(self, name: str, kind: str, seconds: float) -> tuple[Any, ...]: ...


def names(config: Config, asking: Names) -> Iterator[Finding]:
    """Yield what DNS says of each domain that customers write to, and that our mail comes from."""
    domains = {config.settings.domain.lower(), *(queue.address.rpartition("@")[2].lower() for queue in config.queues.values())}
    for domain in sorted(domains):
        try:
            yield _mx(domain, asking.ask(domain, "MX", SECONDS), asking.ask(domain, "A", SECONDS))
            yield _spf(domain, [text for text in asking.ask(domain, "TXT", SECONDS) if text.lower().startswith("v=spf1")])
            yield _dmarc(domain, [text for text in asking.ask(f"_dmarc.{domain}", "TXT", SECONDS) if text.lower().startswith("v=dmarc1")])
        except NoAnswer:
            yield warn(f"DNS of {domain}", "asked for MX, SPF and DMARC", "no answer", _NO_ANSWER)


def _mx(domain: str, records: tuple[Any, ...], addresses: tuple[Any, ...]) -> Finding:
    part, tried = f"MX of {domain}", f"asked for MX of {domain}"
    if any(not name.strip(".") for _, name in records):
        return fail(part, tried, "a null MX: the world is told that it takes no mail", "publish the MX of your mail server")
    if records:
        return ok(part, tried, ", ".join(name for _, name in sorted(records)))
    if addresses:
        return warn(part, tried, "none; mail goes to its address record", "publish an MX record for your mail server")
    return fail(part, tried, "none, and no address", f"publish an MX record: nobody can write to {domain}")


def _spf(domain: str, records: list[str]) -> Finding:
    part, tried = f"SPF of {domain}", f"asked for TXT of {domain}"
    if not records:
        return warn(part, tried, "none", 'publish one that names your relay, as "v=spf1 mx -all": else our mail looks forged')
    if len(records) > 1:
        return fail(part, tried, f"{len(records)} records, which counts as none", "join them into one record")
    if "+all" in records[0].lower().split():
        return warn(part, tried, records[0], "it lets everybody send as you: end it with -all")
    return ok(part, tried, records[0])


def _dmarc(domain: str, records: list[str]) -> Finding:
    part, tried = f"DMARC of {domain}", f"asked for TXT of _dmarc.{domain}"
    if not records:
        return warn(part, tried, "none", 'publish one, as "v=DMARC1; p=quarantine; rua=mailto:…": mail in your name can be forged')
    if len(records) > 1:
        return fail(part, tried, f"{len(records)} records, which counts as none", "leave one")
    return ok(part, tried, records[0])


def signatures(config: Config, asking: Names) -> Iterator[Finding]:
    """Yield for each key that signs our mail whether the world finds its other half in DNS."""
    try:
        signers = config.signers()
    except OSError as error:
        yield fail("DKIM", "read the keys that sign our mail", str(error), "rtmail check")
        return
    for signer in signers:
        name = f"{signer.selector}._domainkey.{signer.domain}"
        try:
            yield _dkim(signer, name, asking.ask(name, "TXT", SECONDS))
        except NoAnswer:
            yield warn(f"DKIM of {name}", "asked for its TXT", "no answer", _NO_ANSWER)


def _dkim(signer: Signer, name: str, records: tuple[Any, ...]) -> Finding:
    part, tried = f"DKIM of {name}", f"asked for TXT of {name}, and compared it with the key that signs"
    cure = "publish the TXT record that rtmail check prints: until then our signature proves nothing"
    if not records:
        return fail(part, tried, "none", cure)
    if len(records) > 1:
        return fail(part, tried, f"{len(records)} records, of which any may be taken", "leave the one that rtmail check prints")
    said = fault(records[0], signer.pem)
    return fail(part, tried, said, cure) if said else ok(part, tried, "the key that signs")


def certificate(config: Config, now: datetime) -> Iterator[Finding]:
    """Yield whether the listener's certificate can be shown to the world: it fits its key and its name, and has not ended."""
    smtp = config.ingress.smtp
    if smtp is None or not smtp.tls_certificate:
        return
    file, name = config.path(smtp.tls_certificate), config.smtp_hostname
    part, tried = "certificate", f"shook hands with ourselves as {name} by {file}"
    key = config.path(smtp.tls_key)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(file), str(key) if key else None)
        ends = _shaken(context, str(file), name)
    except ssl.SSLCertVerificationError as error:
        other = f"get one for {name}, or set hostname in [ingress.smtp] to a name that it has"
        cure = other if "ostname" in error.verify_message else _RENEW
        yield fail(part, tried, error.verify_message, cure)
    except (OSError, ValueError) as error:
        yield fail(part, tried, str(error), "put certificate and key there that belong together, readable for the daemon's user")
    else:
        said = f"good until {ends:%Y-%m-%d}"
        yield warn(part, tried, said, _RENEW) if ends - now < ENDS_SOON else ok(part, tried, said)


def _shaken(serving: ssl.SSLContext, file: str, name: str) -> datetime:
    """Return when the certificate ends that a client who trusts `file` accepts from us for `name`; raises what he would raise."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asking.load_verify_locations(file)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=name)
    server = serving.wrap_bio(there, back, server_side=True)
    for side in (client, server) * 3:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = client.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
