"""Our own DKIM, ARC, SPF and DMARC checks of a From line, where no server that we trust has made them.

Pure: `questions` says which TXT records are needed, the engine asks for them and keeps the answers, and `verify` judges with
them in a reader, beside the rest of a stranger's bytes. dkimpy does the cryptography; what it would let pass is refused here: a
signature over a part of the body (l=), SHA-1, a key that is only tried out (t=y), a header beside the signed one.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from rtmail.mail.headers import HEADER_BYTES, Field, unfolded
from rtmail.mail.model import Answers, Proof
from rtmail.mail.proof import dmarc
from rtmail.mail.proof.identity import aligned_result

SIGNATURES = 5
"""Aligned signatures that are looked at; a sender who signs more often has the proof in these."""
ARC_SETS = 10
PIECE_BYTES = 64 * 1024
CHECKED = "own check: "

_ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
_ONCE = frozenset({"from", "subject", "date", "message-id", "to", "cc", "reply-to", "sender", "in-reply-to", "references", "content-type",
                   "content-transfer-encoding", "mime-version"})
"""Fields of which one may be prepended to a signed mail to be read in place of the signed one: more than one must all be signed."""
_TAG = re.compile(r"\s*([A-Za-z]+)\s*=\s*(.*)\s*", re.DOTALL)
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))+")
_TEMPORARY = "temperror"


@dataclass(frozen=True, slots=True)
class _Signature:
    """One DKIM-Signature, or one part of an ARC set, by its tags."""

    index: int
    tags: Mapping[str, str]

    @property
    def domain(self) -> str:
        return self.tags.get("d", "").lower().rstrip(".")

    @property
    def key_name(self) -> str:
        return f"{self.tags.get('s', '')}._domainkey.{self.domain}".lower()


def questions(fields: Sequence[Field], from_spec: str, arc_sealers: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names whose TXT records `verify` needs for this mail, each once; () where From names nobody beyond doubt."""
    if not from_spec:
        return ()
    domain = from_spec.rpartition("@")[2]
    wanted = list(dmarc.names(domain))
    wanted += [one.key_name for one in _aligned_signatures(fields, domain)]
    wanted += [one.key_name for one in _chain(fields, frozenset(arc_sealers))]
    return tuple(name for name in dict.fromkeys(wanted) if _NAME.fullmatch(name))


def verify(raw: bytes, fields: Sequence[Field], body_at: int, from_spec: str, answers: Answers,
           arc_sealers: Iterable[str] = ()) -> tuple[Proof, str]:
    """Return what is proven about `from_spec`, and how, in words.

    fields, body_at  the header as `headers.scan` read it, and where the body begins
    answers          of DNS, for `questions`
    A temporary failure proves nothing, and is held against nobody. May raise what hostile input makes the library raise.
    """
    if not from_spec:
        return Proof.NONE, "no single From address"
    return _Checking(raw, fields, body_at, from_spec.rpartition("@")[2].lower(), answers, frozenset(arc_sealers)).verdict()


def is_final(why: str) -> bool:
    """Tell whether `why` tells of own checks that would come out the same again; without an answer of DNS they might not."""
    return why.startswith(CHECKED) and _TEMPORARY not in why


@dataclass
class _Checking:
    """One mail under check; `said` collects what was found, for `rtmail why`."""

    raw: bytes
    fields: Sequence[Field]
    body_at: int
    domain: str
    answers: Answers
    arc_sealers: frozenset[str]
    said: list[str] = field(default_factory=list)
    temporary: bool = False
    hashes: dict[bool, bytes] = field(default_factory=dict)

    def verdict(self) -> tuple[Proof, str]:
        record = self._record()
        signers = [signature.domain for signature in _aligned_signatures(self.fields, self.domain) if self._holds(signature)]
        spf = self._spf()
        dkim_pass = any(dmarc.aligned(one, self.domain, strict=bool(record and record.strict_dkim)) for one in signers)
        spf_pass = bool(spf) and dmarc.aligned(spf, self.domain, strict=bool(record and record.strict_spf))
        if record and (dkim_pass or spf_pass):
            return self._end(Proof.DMARC_PASS, f"dmarc=pass (p={record.policy})")
        if signers and not record:
            return self._end(Proof.DKIM_ALIGNED, f"no DMARC record of {self.domain}")
        sealer = self._arc()
        if sealer:
            return self._end(Proof.DMARC_PASS, f"dmarc=pass by the ARC seal of {sealer}")
        if self.temporary:
            return self._end(Proof.NONE, "DNS gave no answer, which proves nothing")
        if record and self.answers.spf_result and not spf_pass:
            return self._end(Proof.DMARC_FAIL, f"dmarc=fail (p={record.policy})")
        if self.answers.spf_result == "fail" and dmarc.aligned(self.answers.spf_domain, self.domain):
            return self._end(Proof.SPF_FAIL, f"spf=fail for {self.domain}")
        return self._end(Proof.NONE, f"nothing proves {self.domain}")

    def _end(self, proof: Proof, why: str) -> tuple[Proof, str]:
        return proof, f"{CHECKED}{'; '.join([*self.said, why])}"

    def _record(self) -> dmarc.Record | None:
        for name in dmarc.names(self.domain):
            texts = self.answers.txt.get(name, ())
            if texts is None:
                self._failed("dmarc")
                return None
            if record := dmarc.parse(texts, subdomain=name != f"_dmarc.{self.domain}"):
                return record
        return None

    def _failed(self, method: str) -> None:
        self.temporary = True
        self.said.append(f"{method}={_TEMPORARY}")

    def _spf(self) -> str:
        """Return the domain that SPF proves, "" for none."""
        answers = self.answers
        if not answers.spf_result:
            return ""
        self.temporary = self.temporary or answers.spf_result == _TEMPORARY
        self.said.append(f"spf={answers.spf_result} for {answers.spf_domain}")
        return answers.spf_domain if answers.spf_result == "pass" else ""

    # DKIM (RFC 6376)

    def _holds(self, signature: _Signature) -> bool:
        texts = self.answers.txt.get(signature.key_name, ())
        if texts is None:
            self._failed("dkim")
            return False
        why = self._refused(signature, texts) or self._broken(signature, texts)
        self.said.append(f"dkim={'fail' if why else 'pass'} by {signature.domain}{f' ({why})' if why else ''}")
        return not why

    def _refused(self, signature: _Signature, texts: Sequence[str]) -> str:
        """Return why a signature is not looked at any further, "" when it is."""
        if "l" in signature.tags:
            return "covers a part of the body"
        if signature.tags.get("a", "").lower() not in _ALGORITHMS:
            return "an algorithm of yesterday"
        signed = Counter(name.strip().lower() for name in signature.tags.get("h", "").split(":"))
        there = Counter(entry.name.lower() for entry in self.fields)
        if there["subject"] and not signed["subject"]:
            return "does not cover the subject"
        if beside := next((name for name in sorted(_ONCE) if there[name] > 1 and signed[name] < there[name]), ""):
            return f"another {beside} beside the signed one"
        if not texts:
            return "no key"
        if len(texts) > 1:
            return "more than one key"
        key = tags(texts[0])
        flags = {flag.strip() for flag in key.get("t", "").split(":")}
        if "y" in flags:
            return "the key is only tried out"
        if "s" in flags and signature.tags.get("i", f"@{signature.domain}").rpartition("@")[2].lower() != signature.domain:
            return "the key is not for subdomains"
        if key.get("s") and not {"*", "email"} & {one.strip() for one in key["s"].split(":")}:
            return "the key is not for mail"
        return "" if not key.get("h") or "sha256" in {one.strip() for one in key["h"].split(":")} else "the key is not for SHA-256"

    def _broken(self, signature: _Signature, texts: Sequence[str]) -> str:
        dkim = _library()
        checking = _frugal(dkim.DKIM)(self._body_hash)
        try:
            checking.headers = self._headers
            good = checking.verify(idx=signature.index, dnsfunc=lambda _, timeout=5: texts[0].encode())
        except dkim.DKIMException as error:
            return str(error).partition("(")[0].strip()[:80] or "not readable"
        return "" if good else "does not verify"

    # ARC (RFC 8617)

    def _arc(self) -> str:
        """Return the sealer that we trust and that saw the mail pass DMARC, "" for none.

        The whole chain must hold, and who sealed after him must be trusted too: he could have put any words below his seal.
        """
        chain = _chain(self.fields, self.arc_sealers)
        if not chain:
            return ""
        if any(self.answers.txt.get(one.key_name, ()) is None for one in chain):
            self._failed("arc")
            return ""
        dkim = _library()
        checking = _frugal(dkim.ARC)(self._body_hash)
        try:
            checking.headers = self._headers
            held, _, why = checking.verify(dnsfunc=self._key)
        except dkim.DKIMException as error:
            held, why = dkim.CV_Fail, str(error)
        self.said.append(f"arc={'pass' if held == dkim.CV_Pass else 'fail'}{'' if held == dkim.CV_Pass else f' ({why[:80]})'}")
        if held != dkim.CV_Pass:
            return ""
        found = ""
        for number in range(max(_instance(one.tags) for one in chain), 0, -1):
            sealer = next((one.domain for one in _parts(self.fields, "arc-seal") if _instance(one.tags) == number), "")
            if sealer not in self.arc_sealers:
                break
            if aligned_result(self._results(number), self.domain):
                found = sealer
        return found

    def _results(self, number: int) -> str:
        """Return what set `number` says of the checks, without its instance, as an Authentication-Results value."""
        values = (unfolded(entry.value) for entry in self.fields if entry.name.lower() == "arc-authentication-results")
        return next((value.partition(";")[2].strip() for value in values if _instance(tags(value)) == number), "")

    def _key(self, name: bytes, timeout: float = 5) -> bytes:
        texts = self.answers.txt.get(name.decode("ascii", "replace").rstrip(".").lower()) or ()
        return texts[0].encode() if len(texts) == 1 else b""

    # The mail as dkimpy wants it

    @cached_property
    def _headers(self) -> list[list[bytes]]:
        """The header bytes as dkimpy takes them apart; it must see the very fields that everything else here has seen."""
        dkim = _library()
        found: list[list[bytes]] = dkim.rfc822_parse(self.raw[: min(self.body_at, HEADER_BYTES)])[0]
        if [name for name, _ in found] != [entry.name.encode() for entry in self.fields]:
            raise dkim.MessageFormatError("the header can be read in two ways")
        return found

    def _body_hash(self, relaxed: bool) -> bytes:
        if relaxed not in self.hashes:
            self.hashes[relaxed] = body_hash(self.raw, self.body_at, relaxed)
        return self.hashes[relaxed]


def body_hash(raw: bytes, start: int, relaxed: bool) -> bytes:
    """Return the SHA-256 of the canonical form of the body from `start` on (RFC 6376 3.4.3, 3.4.4), in pieces of whole lines.

    The library's own way holds several copies of the body, and of each blank in it.
    """
    hashed, empty_lines, at, any_text = hashlib.sha256(), 0, start, False
    while at < len(raw):
        stop = raw.find(b"\n", min(at + PIECE_BYTES, len(raw) - 1)) + 1 or len(raw)
        piece = raw[at:stop].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        at = stop
        if relaxed:
            piece = piece.replace(b"\t", b" ")
            while b"  " in piece:
                piece = piece.replace(b"  ", b" ")
            piece = piece.replace(b" \r\n", b"\r\n")
        end = len(piece)
        while piece.endswith(b"\r\n", 0, end):
            end -= 2
        if end:
            hashed.update(b"\r\n" * empty_lines + piece[:end])
            empty_lines, any_text = 0, True
        empty_lines += (len(piece) - end) // 2
    if any_text or not relaxed:
        hashed.update(b"\r\n")
    return hashed.digest()


@cache
def _frugal(base: Any) -> Any:
    """Return the library's checker `base`, with a body that is hashed elsewhere."""
    dkim = _library()

    class Frugal(base):  # type: ignore[misc]
        def __init__(self, hash_of: Callable[[bool], bytes]) -> None:
            super().__init__(logger=_silent())
            self.hash_of = hash_of

        def verify_sig(self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: Any, dnsfunc: Any) -> bool:
            if b"bh" in sig:
                relaxed = sig.get(b"c", b"simple/simple").partition(b"/")[2] == b"relaxed"
                if base64.b64decode(b"".join(sig[b"bh"].split())) != self.hash_of(relaxed):
                    raise dkim.ValidationError("body hash mismatch")
            without = {name: value for name, value in sig.items() if name != b"bh"}
            return bool(super().verify_sig(without, include_headers, sig_header, dnsfunc))

    return Frugal


def _library() -> Any:
    # Imported where it is needed: it is an extra, and most mails are judged by others or not signed by their sender.
    import dkim

    return dkim


def _silent() -> logging.Logger:
    logger = logging.getLogger("rtmail.dkim")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def tags(text: str) -> dict[str, str]:
    """Return a tag list (RFC 6376 3.2) without blanks; the first of a name counts."""
    found: dict[str, str] = {}
    for part in text.split(";")[:60]:
        if match := _TAG.fullmatch(part):
            found.setdefault(match[1].lower(), "".join(match[2].split()))
    return found


def _parts(fields: Sequence[Field], name: str) -> list[_Signature]:
    found = [entry for entry in fields if entry.name.lower() == name]
    return [_Signature(index, tags(unfolded(entry.value))) for index, entry in enumerate(found)]


def _aligned_signatures(fields: Sequence[Field], domain: str) -> list[_Signature]:
    """Others prove nothing about From, and are not looked at."""
    found = [one for one in _parts(fields, "dkim-signature") if dmarc.aligned(one.domain, domain) and _NAME.fullmatch(one.key_name)]
    return found[:SIGNATURES]


def _instance(tags: Mapping[str, str]) -> int:
    text = tags.get("i", "")
    return int(text) if text.isdigit() and len(text) < 3 else 0


def _chain(fields: Sequence[Field], sealers: frozenset[str]) -> list[_Signature]:
    """Return the seals and signatures of an ARC chain whose last sealer is trusted, [] for any other."""
    seals = _parts(fields, "arc-seal")
    if not sealers or not seals or len(seals) > ARC_SETS:
        return []
    last = max(seals, key=lambda one: _instance(one.tags))
    signatures = _parts(fields, "arc-message-signature")
    return [*seals, *signatures] if last.domain in sealers and len(signatures) == len(seals) else []
