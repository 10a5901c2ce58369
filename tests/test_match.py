"""The sender table of DESIGN 5, row by row with its neighbours, and the matrix of who may act by which proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from rtmail.desk.judging.evidence import LedgerEntry, Lookups, Origin, keys, numbers
from rtmail.desk.judging.match import RULES, LinkKind, Result, StaffProof, Verdict
from rtmail.desk.ticket import Role, Status
from rtmail.mail.address import with_detail
from rtmail.mail.model import Address, Bounce, Forwarded, Kind, Proof
from rtmail.mail.site import Door
from rtmail.mail.token import Action, Keyring, bounce_detail, sign
from tests.fakes.judging import (
    ANN,
    BOB,
    CARL,
    CAROL,
    COMMENT,
    DAVE,
    EVE,
    JANE,
    KEYRING,
    LATER,
    LOOKUPS,
    NOW,
    PRU,
    REX,
    SALES,
    SALES_COMMENT,
    SITE,
    SUPPORT,
    TODAY,
    YESTERDAY,
    at,
    envelope,
    gathered,
    judged,
    letter,
    mark,
    our_id,
    staff_at,
    with_request,
)

BOB_AT = at(Action.REPLY, 5, BOB)
JANE_AT = staff_at(Action.REPLY, 5, JANE)
JANE_COMMENT = staff_at(Action.COMMENT, 5, JANE, address=COMMENT)
FOREIGN, CITED, OURS = "<first@acme.example>", "<cited@elsewhere.example>", our_id(5)
STAFF: dict[str, Any] = {"sender": "jane@example.com", "proof": Proof.DMARC_PASS}
FORWARD = Forwarded("inline", Address("zoe@new.example", "Zoe"), "Help", "please", "<zoe@new.example>")

Row = tuple[str, dict[str, Any], Result, int | None, dict[str, Any]]

PARTICIPANTS: list[Row] = [
    ("signed address", {"to": [BOB_AT]}, Result.CORRESPONDENCE, 5, {"passed_on": True, "reopens": True, "queue": "support"}),
    ("signed address in the envelope only", {"to": ["undisclosed@example.org"], "_through": envelope(BOB_AT)}, Result.CORRESPONDENCE, 5,
     {}),
    ("our Message-ID", {"in_reply_to": [OURS]}, Result.CORRESPONDENCE, 5, {}),
    ("our Message-ID rewrapped", {"references": [OURS.upper().replace("-", "- ", 1)]}, Result.CORRESPONDENCE, 5, {}),
    ("our Message-ID after its key is gone", {"in_reply_to": ["<kept-after-key-loss@example.com>"]}, Result.CORRESPONDENCE, 5, {}),
    ("mark", {"marks": [mark(5, BOB)]}, Result.CORRESPONDENCE, 5, {}),
    ("DMARC pass and tag", {"tags": [5], "proof": Proof.DMARC_PASS}, Result.CORRESPONDENCE, 5, {}),
    ("DMARC pass and foreign id", {"in_reply_to": [FOREIGN], "proof": Proof.DMARC_PASS}, Result.CORRESPONDENCE, 5, {}),
    ("Cc, signed address", {"sender": "carol@partner.example", "to": [at(Action.REPLY, 5, CAROL)]}, Result.CORRESPONDENCE, 5, {}),
    ("address in other case", {"sender": "Bob@acme.example", "to": [BOB_AT.upper()]}, Result.CORRESPONDENCE, 5, {}),
    ("comment address is the public one", {"to": [COMMENT], "in_reply_to": [OURS]}, Result.CORRESPONDENCE, 5,
     {"door": Door.CORRESPONDENCE}),
    ("tag only", {"tags": [5]}, Result.UNVERIFIED, 5, {"passed_on": False, "reopens": True, "joins": ()}),
    ("DKIM alone is not DMARC", {"tags": [5], "proof": Proof.DKIM_ALIGNED}, Result.UNVERIFIED, 5, {}),
    ("foreign id only", {"in_reply_to": [FOREIGN]}, Result.UNVERIFIED, 5, {}),
    ("cited id counts for participants", {"references": [CITED]}, Result.UNVERIFIED, 5, {}),
    ("someone else's signed address", {"to": [at(Action.REPLY, 5, CAROL)]}, Result.UNVERIFIED, 5, {}),
    ("someone else's signed address, DMARC pass", {"to": [at(Action.REPLY, 5, CAROL)], "proof": Proof.DMARC_PASS}, Result.CORRESPONDENCE,
     5, {}),
    ("doubtful From", {"to": [BOB_AT], "identity": ""}, Result.UNVERIFIED, 5, {}),
    ("unknown number", {"tags": [4711]}, Result.NEW_REQUEST, None, {}),
    ("nothing", {"subject": "Something else"}, Result.NEW_REQUEST, None, {"answerable": True, "requestor": Address("bob@acme.example")}),
    ("resolved for long is not closed", {"sender": "tom@small.example", "in_reply_to": [our_id(14)]}, Result.CORRESPONDENCE, 14,
     {"reopens": True}),
]

COLLEAGUES: list[Row] = [
    ("organisation, our id", {"sender": "colin@acme.example", "in_reply_to": [OURS]}, Result.COLLEAGUE_JOINS, 5, {"passed_on": True}),
    ("organisation, someone's signed address", {"sender": "colin@acme.example", "to": [BOB_AT]}, Result.COLLEAGUE_JOINS, 5, {}),
    ("organisation, foreign id", {"sender": "colin@acme.example", "in_reply_to": [FOREIGN]}, Result.COLLEAGUE_JOINS, 5, {}),
    ("organisation below its domain", {"sender": "kim@eu.acme.example", "in_reply_to": [OURS]}, Result.COLLEAGUE_JOINS, 5, {}),
    ("organisation by contact", {"sender": "boss@gmail.com", "in_reply_to": [OURS]}, Result.COLLEAGUE_JOINS, 5, {}),
    ("organisation, tag only", {"sender": "colin@acme.example", "tags": [5]}, Result.NEW_LINKED, None, {}),
    ("organisation, tag and DMARC", {"sender": "colin@acme.example", "tags": [5], "proof": Proof.DMARC_PASS}, Result.NEW_LINKED, None, {}),
    ("organisation, cited id", {"sender": "colin@acme.example", "references": [CITED]}, Result.NEW_REQUEST, None, {"links": ()}),
    ("lookalike domain", {"sender": "kim@evil-acme.example", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("lookalike suffix", {"sender": "kim@acme.example.evil", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("doubtful From is nobody's colleague", {"sender": "colin@acme.example", "identity": "", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("domain, our id", {"sender": "kim@small.example", "in_reply_to": [our_id(7)]}, Result.COLLEAGUE_JOINS, 7, {}),
    ("domain, mark", {"sender": "kim@small.example", "marks": [mark(7, DAVE)]}, Result.COLLEAGUE_JOINS, 7, {}),
    ("domain, foreign id", {"sender": "kim@small.example", "in_reply_to": ["<router@small.example>"]}, Result.NEW_LINKED, None, {}),
    ("a Cc's colleague is a stranger", {"sender": "kim@partner.example", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("removed by staff", {"sender": "rex@acme.example", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("removed, own signed address", {"sender": "rex@acme.example", "to": [at(Action.REPLY, 5, REX)]}, Result.OUTSIDE, 5, {}),
]

STRANGERS: list[Row] = [
    ("signed address of someone else", {"sender": "zoe@new.example", "to": [BOB_AT]}, Result.OUTSIDE, 5,
     {"passed_on": False, "reopens": False, "answerable": True, "joins": (), "ask_accept": ()}),
    ("our id", {"sender": "zoe@new.example", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
    ("mark", {"sender": "zoe@new.example", "marks": [mark(5, BOB)]}, Result.OUTSIDE, 5, {}),
    ("forged id", {"sender": "zoe@new.example", "in_reply_to": ["<rt-5-1-aaaaaaaaaaaaaaaa@example.com>"]}, Result.NEW_REQUEST, None, {}),
    ("foreign id", {"sender": "zoe@new.example", "in_reply_to": [FOREIGN]}, Result.NEW_LINKED, None, {"answerable": True}),
    ("cited id", {"sender": "zoe@new.example", "references": [CITED]}, Result.NEW_REQUEST, None, {}),
    ("tag", {"sender": "zoe@new.example", "tags": [5]}, Result.NEW_LINKED, None, {"queue": "support"}),
    ("tag and DMARC", {"sender": "zoe@new.example", "tags": [5], "proof": Proof.DMARC_PASS}, Result.NEW_LINKED, None, {}),
    ("none", {"sender": "zoe@new.example"}, Result.NEW_REQUEST, None, {}),
    ("an answer to what was told of an incident", {"to": [at(Action.REPLY, 16, BOB)], "in_reply_to": [our_id(16)]}, Result.NEW_LINKED, None,
     {"answerable": True, "requestor": Address("bob@acme.example"), "joins": ()}),
    ("somebody to whom it was passed on", {"sender": "zoe@new.example", "in_reply_to": [our_id(16)]}, Result.NEW_LINKED, None, {}),
    ("his link to mute it", {"to": [at(Action.MUTE, 16, BOB)]}, Result.ACTION, 16, {"commands": False}),
    ("somebody else's link to mute it", {"to": [at(Action.MUTE, 16, CAROL)]}, Result.NEW_LINKED, None, {}),
    ("public domain makes no colleagues", {"sender": "kim@gmail.com", "in_reply_to": [OURS]}, Result.OUTSIDE, 5, {}),
]

STAFF_ROWS: list[Row] = [
    ("signed address", {**STAFF, "to": [JANE_AT]}, Result.STAFF_CORRESPONDENCE, 5, {"commands": True, "passed_on": True}),
    ("our id at the bare address", {**STAFF, "in_reply_to": [OURS]}, Result.STAFF_CORRESPONDENCE, 5, {}),
    ("alias", {**STAFF, "sender": "Jane.Doe@example.com", "to": [JANE_AT]}, Result.STAFF_CORRESPONDENCE, 5, {}),
    ("a colleague's signed address", {**STAFF, "to": [staff_at(Action.REPLY, 5, CARL)]}, Result.STAFF_CORRESPONDENCE, 5, {}),
    ("comment address", {**STAFF, "to": [JANE_COMMENT]}, Result.STAFF_COMMENT, 5, {"commands": True, "door": Door.COMMENT, "ask": ""}),
    ("comment address, tag only", {**STAFF, "to": [COMMENT], "tags": [5]}, Result.STAFF_COMMENT, 5, {}),
    ("expired comment detail stays comment",
     {**STAFF, "to": [staff_at(Action.COMMENT, 5, JANE, address=COMMENT, expires=YESTERDAY)], "tags": [5]},
     Result.STAFF_COMMENT, 5, {}),
    ("comment detail at the public address", {**STAFF, "to": [staff_at(Action.COMMENT, 5, JANE)]}, Result.STAFF_BOTH_ADDRESSES, 5, {}),
    ("both addresses", {**STAFF, "to": [JANE_AT], "cc": [COMMENT]}, Result.STAFF_BOTH_ADDRESSES, 5,
     {"door": Door.COMMENT, "passed_on": False}),
    ("customer in Cc of a comment", {**STAFF, "to": [JANE_COMMENT], "cc": ["bob@acme.example"]}, Result.STAFF_COMMENT, 5,
     {"ask": "a customer is in To or Cc of this comment and has it already", "joins": ()}),
    ("tag only", {**STAFF, "tags": [5]}, Result.STAFF_ASK_FIRST, 5, {"passed_on": False}),
    ("foreign id only", {**STAFF, "in_reply_to": [FOREIGN]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("tag only, participant in To", {**STAFF, "to": ["bob@acme.example"], "cc": [SUPPORT], "tags": [5]}, Result.STAFF_CORRESPONDENCE, 5,
     {}),
    ("tag only, somebody else in To", {**STAFF, "to": ["zoe@new.example"], "cc": [SUPPORT], "tags": [5]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("expired signed address and tag", {**STAFF, "to": [staff_at(Action.REPLY, 5, JANE, expires=YESTERDAY)], "tags": [5]},
     Result.STAFF_ASK_FIRST, 5, {}),
    ("mark only at the bare address", {**STAFF, "marks": [mark(5, JANE)]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("mark and signed address", {**STAFF, "to": [JANE_AT], "marks": [mark(5, JANE)]}, Result.STAFF_CORRESPONDENCE, 5, {}),
    ("names a colleague, no outsider", {**STAFF, "to": [JANE_AT], "cc": ["carl@example.com"]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("names a colleague and the customer", {**STAFF, "to": [JANE_AT, "bob@acme.example"], "cc": ["carl@example.com"]},
     Result.STAFF_CORRESPONDENCE, 5, {}),
    ("looks like an absence", {**STAFF, "to": [JANE_AT], "subject": "Automatic reply: Printer down"}, Result.STAFF_ASK_FIRST, 5, {}),
    ("the request is about automatic replies",
     {**STAFF, "to": [staff_at(Action.REPLY, 15, JANE)], "subject": "Re: Automatic reply is broken"},
     Result.STAFF_CORRESPONDENCE, 15, {}),
    ("another's action address", {**STAFF, "to": [staff_at(Action.RESOLVE, 5, CARL)]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("mailbox without an address of ours",
     {**STAFF, "to": ["help@example.com"], "in_reply_to": [OURS], "_through": envelope(queue="support")},
     Result.STAFF_ASK_FIRST, 5, {}),
    ("closed for long stays closed", {**STAFF, "to": [staff_at(Action.REPLY, 9, JANE)]}, Result.STAFF_CORRESPONDENCE, 9,
     {"reopens": False}),
    ("right of another queue only", {"sender": "will@example.com", "proof": Proof.DMARC_PASS, "in_reply_to": [our_id(7)]},
     Result.STAFF_NO_RIGHT, 7,
     {"commands": False, "passed_on": False}),
    ("a watcher may comment", {"sender": "will@example.com", "proof": Proof.DMARC_PASS, "to": [COMMENT], "in_reply_to": [OURS]},
     Result.STAFF_COMMENT, 5, {"commands": False}),
    ("a watcher may not answer", {"sender": "will@example.com", "proof": Proof.DMARC_PASS, "in_reply_to": [OURS]}, Result.STAFF_NO_RIGHT,
     5, {}),
    ("a manager answers anywhere", {"sender": "carl@example.com", "proof": Proof.DMARC_PASS, "in_reply_to": [our_id(12)], "to": [SALES]},
     Result.STAFF_CORRESPONDENCE, 12, {}),
    ("a deputy of a role answers too", {"sender": "ann@example.com", "proof": Proof.DMARC_PASS, "in_reply_to": [OURS]},
     Result.STAFF_CORRESPONDENCE, 5, {}),
    ("machine mail of staff", {**STAFF, "to": [JANE_AT], "kind": Kind.MACHINE}, Result.STAFF_COMMENT, 5, {"commands": False}),
    ("forward on a request", {**STAFF, "to": [JANE_AT], "subject": "Fwd: Help", "forwarded": FORWARD}, Result.STAFF_FORWARD_ON_REQUEST, 5,
     {"passed_on": False, "joins": ()}),
    ("forward of a mail that we know", {**STAFF, "subject": "Fwd: x", "forwarded": replace(FORWARD, message_id=FOREIGN)},
     Result.STAFF_FORWARD_ON_REQUEST, 5, {}),
    ("an answer with a mail in it is an answer", {**STAFF, "to": [JANE_AT], "forwarded": FORWARD}, Result.STAFF_CORRESPONDENCE, 5, {}),
    ("forward, none", {**STAFF, "subject": "Fwd: Help", "forwarded": FORWARD}, Result.STAFF_FORWARD_NEW, None,
     {"requestor": Address("zoe@new.example", "Zoe"), "answerable": False}),
    ("forward of our own mail is none", {**STAFF, "subject": "Fwd: x", "forwarded": replace(FORWARD, sender=Address(SUPPORT))},
     Result.STAFF_TO_US, None, {}),
    ("on behalf", {**STAFF, "to": ["zoe@new.example", "bob@acme.example"], "cc": [SUPPORT], "subject": "Your order"},
     Result.STAFF_ON_BEHALF, None,
     {"requestor": Address("zoe@new.example"), "joins": (Address("bob@acme.example"),), "answerable": False}),
    ("to us alone", {**STAFF, "subject": "list mine"}, Result.STAFF_TO_US, None,
     {"commands": True, "requestor": Address("jane@example.com"), "queue": "support"}),
    ("to the comment address alone", {**STAFF, "to": [COMMENT], "subject": "list"}, Result.STAFF_TO_US, None, {"commands": True}),
    ("his own request", {**STAFF, "in_reply_to": [our_id(13)], "to": [SALES]}, Result.CORRESPONDENCE, 13, {}),
    ("not authenticated", {"sender": "jane@example.com", "in_reply_to": [OURS]}, Result.HOLD_STAFF_CLAIM, 5,
     {"commands": False, "answerable": False}),
    ("not authenticated, none", {"sender": "jane@example.com"}, Result.HOLD_STAFF_CLAIM, None, {"queue": "support", "requestor": None}),
    ("not authenticated, his own request", {"sender": "jane@example.com", "in_reply_to": [our_id(13)]}, Result.HOLD_STAFF_CLAIM, 13, {}),
    ("From with two readings, one of them staff",
     {"sender": "zoe@new.example", "identity": "", "headers": {"from": ("zoe@new.example, Jane <jane@example.com>",)}},
     Result.HOLD_STAFF_CLAIM, None, {}),
    ("staff named by a web form", {"sender": "form@web.example", "reply_to": ["jane@example.com"]}, Result.HOLD_STAFF_CLAIM, None, {}),
]

OTHERS: list[Row] = [
    ("closed too long", {"sender": "tom@small.example", "in_reply_to": [our_id(9)]}, Result.CONTINUES, None, {"answerable": True}),
    ("closed too long, colleague", {"sender": "kim@small.example", "in_reply_to": [our_id(9)]}, Result.CONTINUES, None, {}),
    ("closed too long, stranger", {"sender": "zoe@new.example", "in_reply_to": [our_id(9)]}, Result.CONTINUES, None, {}),
    ("closed within the window", {"sender": "tom@small.example", "in_reply_to": [our_id(10)]}, Result.CORRESPONDENCE, 10,
     {"reopens": True}),
    ("merged, requestor is Cc of the survivor", {"sender": "eve@other.example", "to": [at(Action.REPLY, 11, EVE)]}, Result.CORRESPONDENCE,
     5, {}),
    ("merged, tag of the old number", {"sender": "bob@acme.example", "tags": [11]}, Result.UNVERIFIED, 5, {}),
    ("merged, staff detail of the old number", {"sender": "jane@example.com", "to": [staff_at(Action.REPLY, 11, JANE)]},
     Result.STAFF_CORRESPONDENCE, 5, {}),
    ("DMARC fail, participant", {"to": [BOB_AT], "proof": Proof.DMARC_FAIL}, Result.UNVERIFIED, 5,
     {"reopens": False, "stops_closing": True, "passed_on": False}),
    ("DMARC fail, colleague", {"sender": "colin@acme.example", "in_reply_to": [OURS], "proof": Proof.DMARC_FAIL}, Result.UNVERIFIED, 5,
     {"reopens": False}),
    ("DMARC fail, stranger", {"sender": "zoe@new.example", "in_reply_to": [OURS], "proof": Proof.DMARC_FAIL}, Result.OUTSIDE, 5,
     {"answerable": False}),
    ("DMARC fail, fresh", {"sender": "zoe@new.example", "cc": ["kim@new.example"], "proof": Proof.DMARC_FAIL}, Result.NEW_REQUEST, None,
     {"answerable": False, "joins": (), "ask_accept": (Address("kim@new.example"),)}),
    ("DMARC fail, staff with signed address", {"sender": "jane@example.com", "to": [JANE_AT], "proof": Proof.DMARC_FAIL},
     Result.HOLD_STAFF_CLAIM, 5, {}),
    ("machine", {"to": [BOB_AT], "kind": Kind.MACHINE, "answerable": False}, Result.CORRESPONDENCE, 5,
     {"passed_on": False, "reopens": False, "stops_closing": True}),
    ("list", {"to": [BOB_AT], "kind": Kind.LIST, "answerable": False}, Result.CORRESPONDENCE, 5, {"passed_on": True, "reopens": True}),
    ("machine, new", {"sender": "cron@new.example", "kind": Kind.MACHINE, "answerable": False}, Result.NEW_REQUEST, None,
     {"answerable": False}),
    ("listed machine, new", {"sender": "nagios@monitor.example", "kind": Kind.MACHINE, "answerable": False}, Result.NEW_REQUEST, None,
     {"answerable": True}),
    ("listed contact by a list", {"sender": "boss@gmail.com", "kind": Kind.LIST, "answerable": False}, Result.NEW_REQUEST, None,
     {"answerable": True}),
    ("listed contact who suppresses answers",
     {"sender": "boss@gmail.com", "kind": Kind.LIST, "answerable": False, "headers": {"x-auto-response-suppress": ("DR, OOF",)}},
     Result.NEW_REQUEST, None, {"answerable": False}),
    ("auto-reply to VERP", {"kind": Kind.AUTO_REPLY, "to": [with_detail(SUPPORT, bounce_detail(KEYRING, 77), SITE)]}, Result.AUTO_REPLY, 5,
     {"outbox_id": 77}),
    ("auto-reply of a participant by tag", {"kind": Kind.AUTO_REPLY, "tags": [5]}, Result.AUTO_REPLY, 5, {"reopens": False}),
    ("auto-reply of a stranger by tag", {"kind": Kind.AUTO_REPLY, "tags": [5], "sender": "zoe@new.example"}, Result.AUTO_REPLY, None, {}),
    ("auto-reply claiming staff is not held", {"kind": Kind.AUTO_REPLY, "sender": "jane@example.com", "in_reply_to": [OURS]},
     Result.AUTO_REPLY, 5, {}),
    ("bounce to VERP of a merged request", {"kind": Kind.BOUNCE, "to": [with_detail(SUPPORT, bounce_detail(KEYRING, 78), SITE)]},
     Result.BOUNCE, 5,
     {"outbox_id": 78}),
    ("bounce that names our id", {"kind": Kind.BOUNCE, "bounce": Bounce(("x@y.example",), "5.1.1", False, OURS)}, Result.BOUNCE, 5,
     {"outbox_id": 0}),
    ("bounce that names a tag", {"kind": Kind.BOUNCE, "tags": [5]}, Result.BOUNCE, None, {}),
    ("person to VERP", {"to": [with_detail(SUPPORT, bounce_detail(KEYRING, 77), SITE)], "sender": "zoe@new.example"}, Result.NEW_REQUEST,
     None,
     {"queue": "support", "links": ()}),
    ("staff to VERP, maybe an absence without its header",
     {**STAFF, "to": [with_detail(SUPPORT, bounce_detail(KEYRING, 77), SITE)], "in_reply_to": [OURS]}, Result.STAFF_ASK_FIRST, 5, {}),
    ("report", {"kind": Kind.REPORT, "in_reply_to": [OURS]}, Result.REPORT, 5, {}),
    ("our own mail", {"own": True, "in_reply_to": [OURS]}, Result.LOOP, None, {}),
    ("loop", {"kind": Kind.LOOP}, Result.LOOP, None, {}),
    ("postmaster", {"to": ["postmaster@example.com"], "_through": envelope("postmaster@example.com")}, Result.ADMIN, None, {"admin": True}),
    ("postmaster without domain", {"to": [], "_through": envelope("Postmaster")}, Result.ADMIN, None, {}),
    ("abuse, junk", {"to": ["abuse@example.com"], "kind": Kind.JUNK, "_through": envelope("abuse@example.com")}, Result.ADMIN, None, {}),
    ("postmaster and a queue", {"to": ["postmaster@example.com", SUPPORT]}, Result.NEW_REQUEST, None, {"admin": True}),
    ("our mail back at postmaster", {"to": ["postmaster@example.com"], "own": True, "_through": envelope("postmaster@example.com")},
     Result.ADMIN_LOOP, None, {}),
    ("bounce at postmaster", {"to": ["postmaster@example.com"], "kind": Kind.BOUNCE, "_through": envelope("postmaster@example.com")},
     Result.ADMIN_LOOP, None, {}),
    ("junk of a stranger", {"sender": "zoe@new.example", "kind": Kind.JUNK}, Result.JUNK, None, {}),
    ("junk that claims staff", {"sender": "jane@example.com", "kind": Kind.JUNK}, Result.JUNK, None, {}),
    ("junk of a contact", {"sender": "boss@gmail.com", "kind": Kind.JUNK, "answerable": False}, Result.NEW_REQUEST, None, {}),
    ("junk of a proven participant", {"to": [BOB_AT], "kind": Kind.JUNK}, Result.CORRESPONDENCE, 5, {}),
    ("kept reply address", {"to": [BOB_AT], "subject": "New laptop"}, Result.NEW_LINKED, None, {"requestor": Address("bob@acme.example")}),
    ("kept reply address, same subject", {"to": [BOB_AT], "subject": "[Example #5] printer  down"}, Result.CORRESPONDENCE, 5, {}),
    ("kept reply address, no subject", {"to": [BOB_AT], "subject": ""}, Result.CORRESPONDENCE, 5, {}),
    ("kept reply address, a reference", {"to": [BOB_AT], "subject": "New laptop", "references": ["<x@y.example>"]}, Result.CORRESPONDENCE,
     5, {}),
    ("kept reply address, a mark", {"to": [BOB_AT], "subject": "New laptop", "marks": [mark(5, BOB)]}, Result.CORRESPONDENCE, 5, {}),
    ("kept reply address, staff", {**STAFF, "to": [JANE_AT], "subject": "New laptop"}, Result.STAFF_TO_US, None, {}),
    ("damaged detail is the bare address", {"to": ["support+vip@example.com"], "sender": "zoe@new.example"}, Result.NEW_REQUEST, None,
     {"queue": "support"}),
    ("a mark is no address", {"to": [with_detail(SUPPORT, mark(5, BOB).removeprefix("ref:"), SITE)], "subject": "x"}, Result.NEW_REQUEST,
     None, {}),
    ("no From at all", {"sender": "", "identity": ""}, Result.NEW_REQUEST, None, {"answerable": False}),
    ("From is our own address", {"sender": SUPPORT}, Result.NEW_REQUEST, None, {"answerable": False, "requestor": None}),
]
TABLE = [*PARTICIPANTS, *COLLEAGUES, *STRANGERS, *STAFF_ROWS, *OTHERS]


def case(changes: dict[str, Any], lookups: Lookups = LOOKUPS) -> Verdict:
    given = dict(changes)
    through = given.pop("_through", None)
    return judged(letter(**given), through, lookups=lookups)


@pytest.mark.parametrize(("changes", "result", "number", "more"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_sender_table(changes: dict[str, Any], result: Result, number: int | None, more: dict[str, Any]) -> None:
    verdict = case(changes)
    assert (verdict.result, verdict.number) == (result, number), (verdict.rule, verdict.evidence)
    assert {name: getattr(verdict, name) for name in more} == more
    assert verdict.reason
    assert verdict.evidence


def test_every_row_of_the_table_was_reached() -> None:
    reached = {case(row[1]).rule for row in TABLE} | {"action", "action-needs-proof", "staff-ask-answers-internal",
                                                      "participant-by-reply-to"}
    assert reached == {rule.name for rule in RULES}
    assert {rule.result for rule in RULES} == set(Result)


# -- who may act by which proof: authentication x token x role x address ---------------------------------------------

AUTHENTICATION: dict[str, dict[str, Any]] = {
    "none": {}, "dmarc-pass": {"proof": Proof.DMARC_PASS}, "dkim": {"proof": Proof.DKIM_ALIGNED}, "dmarc-fail": {"proof": Proof.DMARC_FAIL},
    "auth": {"_auth": True},
}
ROLES = {"engineer": ("jane@example.com", JANE, "jane"), "requestor": ("bob@acme.example", BOB, "bob"),
         "stranger": ("zoe@new.example", 0, "zoe")}
TOKENS = ("own", "another's", "expired", "forged", "none")
WRONG_KEY = Keyring(0, {0: b"x" * 32})


def address_for(token: str, action: Action, person: int, bare: str) -> str:
    """Return our address with the token that the cell names; "another's" is that of somebody of the other side."""
    another = BOB if person == JANE else JANE
    made = {
        "own": lambda: sign(KEYRING, action, 5, person, LATER), "another's": lambda: sign(KEYRING, action, 5, another, LATER),
        "expired": lambda: sign(KEYRING, action, 5, person, YESTERDAY), "forged": lambda: sign(WRONG_KEY, action, 5, person, LATER),
    }
    return with_detail(bare, made[token](), SITE) if token != "none" else bare


def cell(authentication: str, token: str, role: str, action: Action, bare: str = SUPPORT) -> Verdict:
    spec, person, user = ROLES[role]
    given = dict(AUTHENTICATION[authentication])
    to = address_for(token, action, person, bare)
    through = envelope(to, auth=user if given.pop("_auth", False) else "")
    return judged(letter(spec, [to], tags=[5], **given), through)


@pytest.mark.parametrize(("authentication", "token", "role"), list(product(AUTHENTICATION, TOKENS, ROLES)))
def test_exactly_the_allowed_cells_take_a_request(authentication: str, token: str, role: str) -> None:
    """`take` acts for the engineer it was made for, whatever proves him but DMARC fail (which AUTH outweighs), and for nobody else."""
    verdict = cell(authentication, token, role, Action.TAKE)
    allowed = role == "engineer" and token == "own" and authentication != "dmarc-fail"
    assert (verdict.result is Result.ACTION) == allowed
    assert verdict.commands <= (role == "engineer" and (authentication in ("dmarc-pass", "dkim", "auth") or allowed))
    assert verdict.result is not Result.STAFF_CORRESPONDENCE


@pytest.mark.parametrize(("authentication", "token", "role"), list(product(AUTHENTICATION, TOKENS, ROLES)))
def test_exactly_the_allowed_cells_approve(authentication: str, token: str, role: str) -> None:
    verdict = cell(authentication, token, role, Action.APPROVE)
    assert (verdict.result is Result.ACTION) == (role == "requestor" and token == "own" and authentication != "dmarc-fail")


@pytest.mark.parametrize(("authentication", "token", "role", "bare"), list(product(AUTHENTICATION, TOKENS, ROLES, (SUPPORT, COMMENT))))
def test_exactly_the_allowed_cells_speak_for_the_house(authentication: str, token: str, role: str, bare: str) -> None:
    """Words go to the customer as the house's only from proven staff with strong evidence at the public address."""
    verdict = cell(authentication, token, role, Action.REPLY, bare)
    proven = authentication in ("dmarc-pass", "dkim", "auth") or (token == "own" and authentication == "none")
    named = token in ("own", "another's")
    spoken = role == "engineer" and proven and named and bare == SUPPORT
    assert (verdict.result is Result.STAFF_CORRESPONDENCE) == spoken
    assert (verdict.result is Result.STAFF_COMMENT) == (role == "engineer" and proven and bare == COMMENT)
    assert (verdict.result is Result.HOLD_STAFF_CLAIM) == (role == "engineer" and not proven)


@pytest.mark.parametrize(("authentication", "token", "right"), list(product(AUTHENTICATION, TOKENS, ("privacy", "engineer"))))
def test_exactly_the_allowed_cells_release_held_data(authentication: str, token: str, right: str) -> None:
    spec, person, user = ("pru@example.com", PRU, "pru") if right == "privacy" else ("jane@example.com", JANE, "jane")
    given = dict(AUTHENTICATION[authentication])
    to = address_for(token, Action.RELEASE, person, SUPPORT)
    verdict = judged(letter(spec, [to], **{k: v for k, v in given.items() if k != "_auth"}),
                     envelope(to, auth=user if "_auth" in given else ""))
    own = right == "privacy" and token == "own"
    assert (verdict.result is Result.ACTION) == (own and authentication in ("dmarc-pass", "auth"))
    assert (verdict.result is Result.ACTION_NEEDS_PROOF) == (own and authentication in ("none", "dkim"))


@pytest.mark.parametrize(("action", "number", "person", "spec", "more", "result"), [
    (Action.APPROVE, 5, CAROL, "carol@partner.example", {}, Result.CORRESPONDENCE),
    (Action.REOPEN, 5, CAROL, "carol@partner.example", {}, Result.ACTION),
    (Action.APPROVE, 5, BOB, "colin@acme.example", {}, Result.COLLEAGUE_JOINS),
    (Action.APPROVE, 5, BOB, "zoe@new.example", {}, Result.OUTSIDE),
    (Action.APPROVE, 5, BOB, "carol@partner.example", {}, Result.UNVERIFIED),
    (Action.APPROVE, 5, BOB, "bob@acme.example", {"kind": Kind.MACHINE}, Result.CORRESPONDENCE),
    (Action.APPROVE, 5, BOB, "bob@acme.example", {"identity": ""}, Result.UNVERIFIED),
    (Action.TAKE, 5, BOB, "bob@acme.example", {}, Result.CORRESPONDENCE),
    (Action.MUTE, 5, REX, "rex@acme.example", {}, Result.OUTSIDE),
    (Action.APPROVE, 11, EVE, "eve@other.example", {}, Result.CORRESPONDENCE),
    (Action.REOPEN, 11, EVE, "eve@other.example", {}, Result.ACTION),
    (Action.TAKE, 12, JANE, "jane@example.com", {}, Result.STAFF_NO_RIGHT),
    (Action.ACK, 12, CARL, "carl@example.com", {}, Result.ACTION),
    (Action.ACK, 5, ANN, "ann@example.com", {}, Result.ACTION),
    (Action.CONFIRM_HELD, 400, JANE, "jane@example.com", {}, Result.ACTION),
    (Action.CONFIRM_HELD, 400, CARL, "jane@example.com", {}, Result.HOLD_STAFF_CLAIM),
    (Action.CONFIRM_HELD, 400, JANE, "jane@example.com", {"proof": Proof.DMARC_FAIL}, Result.HOLD_STAFF_CLAIM),
    (Action.CONFIRM_HELD, 400, BOB, "bob@acme.example", {}, Result.NEW_REQUEST),
    (Action.APPROVE, 13, JANE, "jane@example.com", {"proof": Proof.DMARC_PASS}, Result.ACTION),
    (Action.TAKE, 4711, JANE, "jane@example.com", {}, Result.HOLD_STAFF_CLAIM),
])
def test_an_action_address_acts_for_its_person_and_role_only(action: Action, number: int, person: int, spec: str, more: dict[str, Any],
                                                             result: Result) -> None:
    verdict = judged(letter(spec, [staff_at(action, number, person)], **more))
    assert verdict.result is result, (verdict.rule, verdict.evidence)
    if result is Result.ACTION:
        assert verdict.detail
        assert verdict.detail.action is action
        assert verdict.number == {400: None, 11: 5}.get(number, number)
        assert verdict.sender.authenticated == (person in (JANE, CARL, ANN)), "a proof for staff, none for customers"


def test_a_hold_link_proves_its_person_for_that_hold_only() -> None:
    to = [staff_at(Action.CONFIRM_HELD, 400, CARL), SUPPORT]
    verdict = judged(letter("jane@example.com", to, in_reply_to=[OURS]))
    assert verdict.result is Result.HOLD_STAFF_CLAIM
    verdict = judged(letter("jane@example.com", [staff_at(Action.REPLY, 7, JANE)], in_reply_to=[OURS], marks=[mark(5, JANE)]))
    assert (verdict.result, verdict.number) == (Result.STAFF_CORRESPONDENCE, 7), "a signed address binds the mail to its own request"


# -- proof of staff ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "auth", "proof"), [
    ({"proof": Proof.DMARC_PASS}, "", StaffProof.DMARC),
    ({"proof": Proof.DMARC_PASS}, "jane", StaffProof.DMARC),
    ({}, "jane", StaffProof.AUTH),
    ({"proof": Proof.DMARC_FAIL}, "jane", StaffProof.AUTH),
    ({}, "carl", StaffProof.NONE),
    ({"proof": Proof.DKIM_ALIGNED}, "", StaffProof.DKIM),
    ({"to": [JANE_AT]}, "", StaffProof.DETAIL),
    ({"to": [JANE_COMMENT]}, "", StaffProof.DETAIL),
    ({"to": [at(Action.REPLY, 5, JANE)]}, "", StaffProof.NONE),
    ({"to": [staff_at(Action.REPLY, 5, CARL)]}, "", StaffProof.NONE),
    ({"to": [BOB_AT]}, "", StaffProof.NONE),
    ({"marks": [mark(5, JANE)]}, "", StaffProof.NONE),
    ({"proof": Proof.DMARC_PASS, "identity": ""}, "", StaffProof.NONE),
    ({"identity": "", "to": [JANE_AT]}, "", StaffProof.NONE),
])
def test_what_proves_staff(more: dict[str, Any], auth: str, proof: StaffProof) -> None:
    mail = letter(**{"sender": "jane@example.com", "in_reply_to": [OURS], **more})
    verdict = judged(mail, envelope(*(one.spec for one in mail.to), auth=auth))
    assert verdict.sender.staff == "jane"
    assert verdict.sender.staff_proof is proof
    assert verdict.sender.authenticated == (proof is not StaffProof.NONE)
    assert (verdict.result is Result.HOLD_STAFF_CLAIM) == (proof is StaffProof.NONE)
    assert proof.strong == (proof in (StaffProof.DMARC, StaffProof.AUTH))


def test_a_held_claim_is_judged_again_when_its_person_confirmed_it() -> None:
    mail = letter("jane@example.com", in_reply_to=[OURS], proof=Proof.DMARC_FAIL)
    assert judged(mail).result is Result.HOLD_STAFF_CLAIM
    assert judged(mail, confirmed="carl").result is Result.HOLD_STAFF_CLAIM
    verdict = judged(mail, confirmed="jane")
    assert (verdict.result, verdict.sender.staff_proof) == (Result.STAFF_CORRESPONDENCE, StaffProof.CONFIRMED)


def test_a_staff_address_shown_outside_proves_once_and_is_revoked() -> None:
    shown = letter("jane@example.com", [JANE_AT], ["bob@acme.example"])
    verdict = judged(shown)
    assert verdict.result is Result.STAFF_CORRESPONDENCE
    assert verdict.revoke == (JANE,)
    assert judged(letter("jane@example.com", [JANE_AT], ["carl@example.com", "bob@acme.example"])).revoke == (JANE,)
    assert judged(letter("jane@example.com", [JANE_AT])).revoke == ()
    assert judged(letter("bob@acme.example", [JANE_AT])).revoke == (JANE,), "a customer has it"
    assert judged(letter("bob@acme.example", [BOB_AT])).revoke == ()

    revoked = with_request(5, revoked={JANE: TODAY})
    after = judged(letter("jane@example.com", [JANE_AT], tags=[5]), lookups=revoked)
    assert (after.result, after.number) == (Result.HOLD_STAFF_CLAIM, 5)
    assert any("revoked" in line for line in after.evidence)
    assert judged(letter("jane@example.com", [JANE_AT], proof=Proof.DMARC_PASS),
                  lookups=revoked).result is Result.STAFF_TO_US, "as the bare address"
    anew = staff_at(Action.REPLY, 5, JANE, expires=TODAY + timedelta(days=31))
    assert judged(letter("jane@example.com", [anew]), lookups=revoked).result is Result.STAFF_CORRESPONDENCE
    assert judged(letter("carl@example.com", [staff_at(Action.REPLY, 5, CARL)]), lookups=revoked).result is Result.STAFF_CORRESPONDENCE


@pytest.mark.parametrize("how", ["id", "ledger"])
def test_an_answer_to_internal_mail_at_the_public_address_is_asked_about(how: str) -> None:
    one = OURS if how == "id" else "<kept-after-key-loss@example.com>"
    lookups = replace(LOOKUPS, ledger={**LOOKUPS.ledger, one: (LedgerEntry(5, Origin.OURS, internal=True),)})
    public = judged(letter(**STAFF, to=[JANE_AT], in_reply_to=[one]), lookups=lookups)
    assert (public.result, public.rule) == (Result.STAFF_ASK_FIRST, "staff-ask-answers-internal")
    assert public.ask
    assert judged(letter(**STAFF, to=[JANE_AT], references=[FOREIGN, one]), lookups=lookups).result is Result.STAFF_ASK_FIRST
    later = letter(**STAFF, to=[JANE_AT], in_reply_to=[our_id(5, 9)], references=[FOREIGN, one, our_id(5, 9)])
    assert judged(later, lookups=lookups).result is Result.STAFF_CORRESPONDENCE, "further up in the thread there may be anything"
    assert judged(letter(**STAFF, to=[JANE_COMMENT], in_reply_to=[one]), lookups=lookups).result is Result.STAFF_COMMENT
    assert judged(letter(to=[BOB_AT], in_reply_to=[one]), lookups=lookups).result is Result.CORRESPONDENCE


def test_who_left_the_staff_is_a_stranger_with_his_old_address() -> None:
    verdict = judged(letter("old@example.com", [staff_at(Action.REPLY, 5, 9)]), lookups=replace(LOOKUPS, parties={"old@example.com": 9}))
    assert (verdict.result, verdict.commands) == (Result.OUTSIDE, False)


# -- the strongest sign names the request ------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "number"), [
    ({"to": [BOB_AT], "in_reply_to": [our_id(7)], "tags": [12]}, 5),
    ({"in_reply_to": [our_id(5)], "references": [our_id(7)], "tags": [7]}, 5),
    ({"references": [our_id(7), our_id(5)]}, 5),
    ({"in_reply_to": [OURS], "marks": [mark(7, DAVE)]}, 5),
    ({"marks": [mark(5, BOB), mark(7, DAVE)], "tags": [7]}, 5),
    ({"to": [at(Action.REPLY, 7, DAVE)], "in_reply_to": [OURS]}, 5),
    ({"in_reply_to": [FOREIGN], "tags": [7]}, 5),
    ({"references": ["<router@small.example>"], "in_reply_to": [FOREIGN]}, 5),
    ({"in_reply_to": [our_id(4711), OURS]}, 5),
])
def test_evidence_strongest_first(more: dict[str, Any], number: int) -> None:
    assert judged(letter(**more)).number == number


def test_merges_in_a_ring_name_nobody() -> None:
    requests = {**LOOKUPS.requests, 5: replace(LOOKUPS.requests[5], merged_into=11)}
    assert judged(letter(tags=[5]), lookups=replace(LOOKUPS, requests=requests)).evidence


def test_one_removed_from_the_survivor_stays_out_though_a_merged_request_had_him() -> None:
    lookups = with_request(5, removed=frozenset({EVE}))
    assert judged(letter("eve@other.example", [at(Action.REPLY, 11, EVE)]), lookups=lookups).result is Result.OUTSIDE


def test_links_of_new_requests() -> None:
    assert [(link.kind, link.number) for link in judged(letter("zoe@new.example", tags=[5])).links] == [(LinkKind.RELATED, 5)]
    assert [(link.kind,
             link.number) for link in judged(letter("tom@small.example", in_reply_to=[our_id(9)])).links] == [(LinkKind.CONTINUES, 9)]
    assert [(link.kind, link.number) for link in judged(letter(to=[BOB_AT], subject="Laptop")).links] == [(LinkKind.RELATED, 5)]
    assert [(link.kind, link.number) for link in judged(letter(**STAFF, to=[JANE_AT], subject="Laptop")).links] == [(LinkKind.RELATED, 5)]
    assert judged(letter("zoe@new.example")).links == ()


@pytest.mark.parametrize(("age", "result"), [(30, Result.CORRESPONDENCE), (31, Result.CONTINUES)])
@pytest.mark.parametrize("status", [Status.CLOSED, Status.REJECTED])
def test_the_window_is_measured_from_the_closing(age: int, result: Result, status: Status) -> None:
    lookups = with_request(9, status=status, status_at=NOW - timedelta(days=age))
    assert judged(letter("tom@small.example", in_reply_to=[our_id(9)]), lookups=lookups).result is result


# -- requestor, queues, Cc's -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sender", "reply_to", "more", "requestor"), [
    ("bob@acme.example", ["team@acme.example"], {}, "team@acme.example"),
    ("bob@acme.example", ["team@eu.acme.example"], {}, "team@eu.acme.example"),
    ("bob@acme.example", ["boss@gmail.com"], {}, "boss@gmail.com"),
    ("kim@small.example", ["team@mail.small.example"], {}, "team@mail.small.example"),
    ("kim@gmail.com", ["other@gmail.com"], {}, "kim@gmail.com"),
    ("bob@acme.example", ["zoe@new.example"], {}, "bob@acme.example"),
    ("bob@acme.example", ["a@acme.example", "b@acme.example"], {}, "bob@acme.example"),
    ("bob@acme.example", [SUPPORT], {}, "bob@acme.example"),
    ("kim@example.com", ["jane@example.com"], {}, "kim@example.com"),
    ("form@web.example", ["zoe@gmail.com"], {}, "zoe@gmail.com"),
    ("form@web.example", ["zoe@gmail.com"], {"identity": ""}, "form@web.example"),
    ("bob@acme.example", ["team@acme.example"], {"identity": ""}, "bob@acme.example"),
])
def test_reply_to_stands_for_from_only_where_it_may(sender: str, reply_to: list[str], more: dict[str, Any], requestor: str) -> None:
    verdict = judged(letter(sender, reply_to=reply_to, proof=Proof.DMARC_PASS, **more))
    assert verdict.result is Result.NEW_REQUEST
    assert verdict.requestor == Address(requestor)
    assert verdict.sender.by_reply_to == (requestor != sender)
    assert not (verdict.sender.by_reply_to and verdict.sender.authenticated)


def test_an_identity_from_reply_to_is_never_verified() -> None:
    verdict = judged(letter("form@web.example", reply_to=["bob@acme.example"], in_reply_to=[OURS], proof=Proof.DMARC_PASS))
    assert (verdict.result, verdict.rule, verdict.number) == (Result.UNVERIFIED, "participant-by-reply-to", 5)
    assert verdict.sender.address.spec == "bob@acme.example"
    assert verdict.sender.role is Role.REQUESTOR
    colleague = judged(letter("colin@acme.example", reply_to=["bob@acme.example"], in_reply_to=[OURS]))
    assert (colleague.result, colleague.sender.address.spec) == (Result.COLLEAGUE_JOINS, "colin@acme.example"), "From speaks first"


@pytest.mark.parametrize(("to", "cc", "recipients", "queue", "others"), [
    ([SUPPORT], [], [SUPPORT], "support", ()),
    ([SUPPORT, SALES], [], [SALES], "support", ("sales",)),
    ([SALES], [SUPPORT], [SUPPORT], "sales", ("support",)),
    (["x@y.example"], [SALES], [SUPPORT], "sales", ("support",)),
    (["x@y.example"], [], [SALES, SUPPORT], "sales", ("support",)),
    ([SALES_COMMENT, SUPPORT], [], [SUPPORT], "sales", ("support",)),
    ([SUPPORT, COMMENT], [], [COMMENT], "support", ()),
    (["SUPPORT@Example.com"], [], ["support@example.com"], "support", ()),
])
def test_one_request_in_the_first_queue_addressed(to: list[str], cc: list[str], recipients: list[str], queue: str,
                                                  others: tuple[str, ...]) -> None:
    verdict = judged(letter("zoe@new.example", to, cc), envelope(*recipients))
    assert (verdict.result, verdict.queue, verdict.other_queues) == (Result.NEW_REQUEST, queue, others)


def test_other_queues_of_a_mail_on_a_request() -> None:
    assert judged(letter(to=[BOB_AT, SALES])).other_queues == ("sales",)
    moved = judged(letter(to=[SALES], in_reply_to=[OURS]))
    assert (moved.queue, moved.other_queues) == ("support", ()), "an address kept from before the move"


def test_a_mailbox_names_the_queue_only_when_no_address_of_ours_does() -> None:
    assert judged(letter("zoe@new.example", ["x@y.example"]), envelope(queue="sales")).queue == "sales"
    assert judged(letter("zoe@new.example", [SUPPORT]), envelope(queue="sales")).queue == "support"
    delivered = {"delivered-to": (BOB_AT,)}
    assert judged(letter(to=["x@y.example"], headers=delivered), envelope(queue="sales")).result is Result.CORRESPONDENCE
    assert judged(letter(to=[SUPPORT], headers=delivered), envelope(SUPPORT)).result is Result.NEW_REQUEST, "an envelope outweighs a header"


NEAR, FAR = "kim@acme.example", "zoe@new.example"


@pytest.mark.parametrize(("more", "joins", "ask"), [
    ({"subject": "Fresh", "cc": [NEAR, FAR]}, [NEAR, FAR], []),
    ({"subject": "Fresh", "to": [SUPPORT, FAR], "cc": [SALES, "jane@example.com", "bob@acme.example", FAR]}, [FAR], []),
    ({"subject": "Fresh", "cc": [f"u{n}@new.example" for n in range(22)]}, [f"u{n}@new.example" for n in range(20)],
     ["u20@new.example", "u21@new.example"]),
    ({"to": [BOB_AT], "cc": [NEAR, FAR]}, [NEAR], [FAR]),
    ({"to": [BOB_AT], "cc": [NEAR, FAR], "proof": Proof.DMARC_PASS}, [NEAR, FAR], []),
    ({"to": [BOB_AT], "cc": ["boss@gmail.com"]}, [], ["boss@gmail.com"]),
    ({"to": [BOB_AT], "cc": ["carol@partner.example", "BOB@acme.example"]}, [], []),
    ({"to": [BOB_AT], "cc": ["rex@acme.example"], "proof": Proof.DMARC_PASS}, [], ["rex@acme.example"]),
    ({"tags": [5], "cc": [NEAR]}, [], [NEAR]),
    ({"to": [BOB_AT], "cc": [NEAR], "kind": Kind.MACHINE}, [], [NEAR]),
    ({"sender": "colin@acme.example", "in_reply_to": [OURS], "cc": [NEAR, FAR]}, [NEAR], [FAR]),
    ({"sender": "dave@small.example", "to": [at(Action.REPLY, 7, DAVE)], "subject": "Re: Router", "cc": ["x@gmail.com"]}, [],
     ["x@gmail.com"]),
    ({**STAFF, "to": [JANE_AT], "cc": [FAR]}, [FAR], []),
    ({"sender": "jane@example.com", "to": [JANE_AT], "cc": [FAR]}, [], [FAR]),
])
def test_who_becomes_cc(more: dict[str, Any], joins: list[str], ask: list[str]) -> None:
    verdict = judged(letter(**more))
    assert [one.spec for one in verdict.joins] == joins
    assert [one.spec for one in verdict.ask_accept] == ask


# -- gathering ---------------------------------------------------------------------------------------------------------


def test_details_are_actions_in_the_subject_where_addresses_cannot_carry_them() -> None:
    site = replace(SITE, detail="off")
    subject = f"approve {sign(KEYRING, Action.APPROVE, 5, BOB, None)}"
    verdict = judged(letter(subject=subject), site=site)
    assert (verdict.result, verdict.number) == (Result.ACTION, 5)
    assert judged(letter(subject=subject)).result is not Result.ACTION, "elsewhere only addresses carry them"
    assert judged(letter(subject=subject[:-1] + "!"), site=site).result is Result.NEW_REQUEST


def test_what_the_store_is_asked() -> None:
    mail = letter(to=[BOB_AT, "x@y.example"], cc=[with_detail(SUPPORT, bounce_detail(KEYRING, 77), SITE)], reply_to=["Team@acme.example"],
                  in_reply_to=[our_id(7)], references=["<a@b.example>", FOREIGN], marks=[mark(12, BOB)], tags=[9], forwarded=FORWARD)
    evidence = gathered(mail)
    wanted = keys(evidence)
    assert wanted.message_ids == (our_id(7), FOREIGN, "<a@b.example>", "<zoe@new.example>")
    assert wanted.numbers == (5, 7, 12, 9)
    assert wanted.outbox_ids == (77,)
    assert {"bob@acme.example", "team@acme.example", "x@y.example", "zoe@new.example", "bounce@client.example"} <= set(wanted.addresses)
    assert numbers(evidence, {FOREIGN: (LedgerEntry(15, Origin.SEEN),)}, {77: 13}) == (5, 7, 12, 15, 13, 9)


def test_a_long_chain_is_cut_to_its_end_and_its_root() -> None:
    chain = [f"<m{n}@client.example>" for n in range(1000)]
    found = gathered(letter(references=chain)).foreign_ids
    assert len(found) == 100
    assert (found[0], found[-1]) == (chain[-1], chain[0])


def test_nothing_known_is_a_new_request_for_everybody_but_staff() -> None:
    for mail in (letter(to=[BOB_AT], in_reply_to=[OURS], marks=[mark(5, BOB)], tags=[5]), letter("zoe@new.example")):
        assert judged(mail, lookups=Lookups()).result is Result.NEW_REQUEST


def test_rules_have_names_of_their_own_and_the_last_takes_everything() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert RULES[-1].result is Result.NEW_REQUEST


@pytest.mark.parametrize(("to", "delivered", "doors"), [
    # The comment address is an alias of the mailbox, with a detail or without, seen or as a Bcc.
    ((COMMENT,), {"delivered-to": (SUPPORT,)}, [COMMENT]),
    ((COMMENT.replace("@", "+xyz@"),), {"delivered-to": (SUPPORT.replace("@", "+xyz@"),)}, [COMMENT]),
    ((), {"delivered-to": (SUPPORT,), "x-original-to": (COMMENT,)}, [COMMENT]),
    # Both were written to: a comment, and the author is asked.
    ((SUPPORT, COMMENT), {"delivered-to": (SUPPORT,)}, [SUPPORT, COMMENT]),
    ((SUPPORT,), {"delivered-to": (COMMENT,)}, [SUPPORT, COMMENT]),
    # An alias between two queues says nothing about comments.
    ((SALES_COMMENT,), {"delivered-to": (SUPPORT,)}, [SALES_COMMENT, SUPPORT]),
    ((), {"delivered-to": (SUPPORT,)}, [SUPPORT]),
])
def test_the_name_of_the_mailbox_is_no_recipient_beside_a_comment_address(to: tuple[str, ...], delivered: dict[str, tuple[str, ...]],
                                                                        doors: list[str]) -> None:
    found = gathered(letter("jane@example.com", to, headers=delivered), envelope(sender=None, queue="support"))
    assert [seen.address.spec for seen in found.doors] == doors
