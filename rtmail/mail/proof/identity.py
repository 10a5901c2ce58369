"""What trusted results prove about the From line: DMARC pass, DKIM pass of an aligned domain, DMARC fail, or nothing.

Anyone can write an Authentication-Results field, so only those count that name an authserv-id of ours and stand above
the first Received line by which a trusted machine took the mail from an untrusted one (RFC 8601 5, 7.1). What one field
says for the sender, another may take back, never the other way round. `message.read` calls `prove`; desk judges.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rtmail.mail.address import organisational_domain
from rtmail.mail.model import Envelope, Proof
from rtmail.mail.site import Site

INTERNAL_HEADERS = {"x-ms-exchange-organization-authas": "internal"}
"""Header (lower case) -> value that proves the From line, where `trusted_headers` names it: Exchange's word for a sender
who logged in to the tenant. Exchange removes these names from mail of outside, other servers do not."""

MAX_FIELD_CHARACTERS = 4000
MAX_FIELDS = 10

_ID = re.compile(r"(?:\s|\([^()]*\))*([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)(?:\s|\([^()]*\))*(?:\d+\s*)?;")
_NO_ID = re.compile(r"\s*[a-z-]+\s*=", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMMENT = re.compile(r"\([^()]*\)")
_BY = re.compile(r"\sby\s")
_LMTP = re.compile(r"\sby\s+\S+\s+with\s+LMTPS?A?(?:\s|;|$)", re.IGNORECASE)
_IP = re.compile(r"(?<![\w.:-])(?:IPv6:)?([0-9A-Fa-f:.]{2,45})(?![\w.:-])", re.IGNORECASE)
_TAG = re.compile(r"(?:^|;)\s*([A-Za-z]+)\s*=\s*([^;]*)")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class _Result:
    """One method's result in a trusted field; `values` holds its header.* and smtp.* properties, policy.* dropped."""

    method: str
    result: str
    values: tuple[tuple[str, str], ...]

    def get(self, name: str) -> list[str]:
        return [value.strip().lower() for key, value in self.values if key == name]


def prove(header_values_in_order: Sequence[tuple[str, str]], from_spec: str, site: Site, envelope: Envelope) -> tuple[Proof, str]:
    """Return what is proven about `from_spec`, and the evidence in words for `rtmail why`.

    header_values_in_order   every header field of the mail as (name, raw value), from the top down
    from_spec                the strict identity, "" where there is none: then nothing is proven
    """
    if not from_spec:
        return Proof.NONE, "no single From address"
    domain = from_spec.rpartition("@")[2].lower()
    hops = [ipaddress.ip_network(hop, strict=False) for hop in site.trusted_hops]
    names = {name.lower() for name in site.trusted_headers.get(envelope.ingress, ())}
    if not trusted_peer(envelope, site):
        return Proof.NONE, f"handed in by {envelope.peer or 'an unknown peer'}, which is no trusted hop"
    results = list(_results(header_values_in_order, site, hops, unnamed="authentication-results" in names))
    dmarc = [result for result in results if result.method == "dmarc" and _about(result, domain)]
    if any(result.result == "fail" for result in dmarc):
        return Proof.DMARC_FAIL, f"dmarc=fail for {domain}"
    internal = _internal(header_values_in_order, names)
    if internal:
        return Proof.DMARC_PASS, f"{internal} on {envelope.ingress}"
    partial = _partly_signed(header_values_in_order)
    signer = _aligned_signer(results, domain, partial)
    verdicts = {result.result for result in dmarc} - {"temperror", "permerror"}
    if verdicts == {"pass"}:
        if signer or not any(_aligned(name, domain) for name in partial) or _aligned_spf(results, domain):
            return Proof.DMARC_PASS, f"dmarc=pass for {domain}"
        return Proof.NONE, "dmarc=pass rests on a signature over a part of the body (l=)"
    if signer:
        return Proof.DKIM_ALIGNED, f"dkim=pass by {signer}, aligned to {domain}"
    if not results:
        return Proof.NONE, "no trusted Authentication-Results"
    if _disowned(results, domain):
        return Proof.SPF_FAIL, f"spf=fail for {domain}"
    said = " ".join(sorted({f"{result.method}={result.result}" for result in results}))
    return Proof.NONE, f"trusted results prove nothing for {domain}: {said}"


def trusted_peer(envelope: Envelope, site: Site) -> bool:
    """Tell whether a machine of ours handed the mail in; what speaks LMTP or pipes to us is one."""
    hops = [ipaddress.ip_network(hop, strict=False) for hop in site.trusted_hops]
    return envelope.ingress != "smtp" or _within([envelope.peer], hops)


def trusted_fields(fields: Sequence[tuple[str, str]], site: Site, envelope: Envelope) -> Iterator[tuple[str, str]]:
    """Yield the fields, names in lower case, that machines of ours wrote or let stand; none where none of ours handed the mail in."""
    if not trusted_peer(envelope, site):
        return
    hops = [ipaddress.ip_network(hop, strict=False) for hop in site.trusted_hops]
    for name, value in fields:
        if name.lower() == "received" and not _from_trusted_hop(value, hops):
            return
        yield name.lower(), value


def is_unjudged(fields: Sequence[tuple[str, str]], site: Site, envelope: Envelope) -> bool:
    """Tell whether no server that we trust said anything of signatures or DMARC, so that these are for us to check."""
    if not trusted_peer(envelope, site):
        return True
    hops = [ipaddress.ip_network(hop, strict=False) for hop in site.trusted_hops]
    names = {name.lower() for name in site.trusted_headers.get(envelope.ingress, ())}
    unnamed = "authentication-results" in names
    judged = any(result.method in ("dmarc", "dkim") for result in _results(fields, site, hops, unnamed=unnamed))
    return not judged and not _internal(fields, names)


def came_from_outside(site: Site, envelope: Envelope) -> bool:
    """Tell whether the mail reached our own listener from a machine that is none of ours: only then SPF can say anything."""
    return not trusted_peer(envelope, site) and _address(envelope.peer) is not None


def aligned_result(value: str, domain: str) -> bool:
    """Tell whether an Authentication-Results value, whose author is trusted already, says that mail of `domain` passed DMARC."""
    dmarc = [result for result in _parse(value) if result.method == "dmarc" and _about(result, domain)]
    return {result.result for result in dmarc} == {"pass"}


def _results(fields: Sequence[tuple[str, str]], site: Site, hops: Sequence[Network], unnamed: bool) -> Iterator[_Result]:
    """Yield the results of the trusted fields. `unnamed`: the topmost field counts even without an authserv-id."""
    trusted = {name.lower() for name in site.authserv_ids}
    read = 0
    for name, value in fields:
        lowered = name.lower()
        if lowered == "received" and not _from_trusted_hop(value, hops):
            return
        if lowered != "authentication-results" or len(value) > MAX_FIELD_CHARACTERS or read == MAX_FIELDS:
            continue
        read += 1
        named = _ID.match(value)
        if named and named[1].lower() in trusted:
            yield from _parse(value)
        elif unnamed and read == 1 and _NO_ID.match(value):
            # Exchange Online leaves the authserv-id out (RFC 8601 2.2 demands one).
            yield from _parse(f"unnamed; {value}")


def _parse(value: str) -> list[_Result]:
    """Return the results of one field, none when it does not parse: then it is no verdict."""
    # Imported where it is needed: most mails carry no trusted field.
    import authres

    library: Any = authres
    line = re.sub(r"[\r\n]+", "", value)
    if _QUOTED.sub("", line).count('"'):
        # authres drops a property that it cannot read and goes on: half a field must not pass for a whole one.
        return []
    try:
        return [_result(found) for found in library.parse_value(line).results]
    except Exception:  # authres raises its own, and AttributeError, TypeError or RecursionError on odd input
        return []


def _result(found: Any) -> _Result:
    said = [prop for prop in found.properties if prop.type.lower() != "policy"]
    values = tuple((f"{prop.type}.{prop.name}".lower(), str(prop.value or "")) for prop in said)
    return _Result(str(found.method).lower(), str(found.result).lower(), values)


def _from_trusted_hop(received: str, hops: Sequence[Network]) -> bool:
    """Tell whether a Received line says that the mail came from a trusted machine.

    Every address before "by" must be trusted: the client chooses its HELO name, but cannot keep its own address out.
    A line without an address is a step inside one machine when LMTP made it; local submission is not (its user wrote
    what stands below).
    """
    from_clause = _BY.split(f" {received[:MAX_FIELD_CHARACTERS]}", maxsplit=1)[0]
    addresses = [found[1] for found in _IP.finditer(from_clause) if _address(found[1])]
    if addresses:
        return _within(addresses, hops)
    bare = received[:MAX_FIELD_CHARACTERS]
    while (shorter := _COMMENT.sub("", bare)) != bare:
        bare = shorter
    return "(" not in bare and '"' not in bare and bool(_LMTP.search(f" {bare}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _within(addresses: Iterable[str], hops: Sequence[Network]) -> bool:
    for text in addresses:
        found = _address(text)
        if found is None or not any(found in hop for hop in hops):
            return False
    return True


def _about(result: _Result, domain: str) -> bool:
    """A DMARC result speaks about the domain in its header.from; without one it can only be held against the sender."""
    named = {value.rpartition("@")[2] for value in result.get("header.from")}
    return named == {domain} or (not named and result.result != "pass")


def _aligned(name: str, domain: str) -> bool:
    return bool(name) and organisational_domain(name) == organisational_domain(domain)


def _aligned_signer(results: Sequence[_Result], domain: str, partial: frozenset[str]) -> str:
    """Return the d= of a passing DKIM signature that is aligned (relaxed, RFC 7489 3.1.1) and covers the whole body."""
    failed = {_signature(result) for result in results if result.method == "dkim" and result.result in ("fail", "policy")}
    for result in results:
        if result.method != "dkim" or result.result != "pass" or _signature(result) in failed or result.get("header.l"):
            continue
        # Gmail names header.i only; its domain is d= or lies below it (RFC 6376 3.5).
        signers = result.get("header.d") or [value.rpartition("@")[2] for value in result.get("header.i")]
        if signers and all(_aligned(name, domain) and name not in partial for name in signers):
            return signers[0]
    return ""


def _signature(result: _Result) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(result.get("header.d") or result.get("header.i")), tuple(result.get("header.s"))


def _aligned_spf(results: Sequence[_Result], domain: str) -> bool:
    passed = [result for result in results if result.method == "spf" and result.result == "pass"]
    return any(_aligned(sender.rpartition("@")[2], domain) for result in passed for sender in result.get("smtp.mailfrom"))


def _disowned(results: Sequence[_Result], domain: str) -> bool:
    """Whether SPF failed for a sender aligned with From, and no server says that it passed."""
    spoken = [(result.result, sender) for result in results if result.method == "spf" for sender in result.get("smtp.mailfrom")]
    about = {result for result, sender in spoken if _aligned(sender.rpartition("@")[2], domain)}
    return about == {"fail"}


def _partly_signed(fields: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Return the domains whose DKIM signature has l=: text added behind the signed part still verifies (RFC 6376 8.2)."""
    domains = set()
    for name, value in fields:
        if name.lower() == "dkim-signature":
            tags = {key.lower(): text.strip() for key, text in _TAG.findall(re.sub(r"\s+", " ", value[:MAX_FIELD_CHARACTERS]))}
            if "l" in tags:
                domains.add(tags.get("d", "").lower())
    return frozenset(domains)


def _internal(fields: Sequence[tuple[str, str]], names: set[str]) -> str:
    """Return the one trusted header that proves the sender, "Name: value"; "" when absent or given twice."""
    for wanted, proof in INTERNAL_HEADERS.items():
        if wanted in names:
            values = [value.strip() for name, value in fields if name.lower() == wanted]
            if len(values) == 1 and values[0].lower() == proof:
                return f"{wanted}: {values[0]}"
    return ""
