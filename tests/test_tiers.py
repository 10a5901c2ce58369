"""Handing over to another tier: refused with what is missing, seen by both tiers, noticed by no customer, and clocks that go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.people import Person, Queue
from rtmail.errors import PolicyError
from rtmail.policy.schema import parse
from tests.fakes.house import ROOT, House, blueprint, own_addresses
from tests.fakes.staff import BOB, CARL, JANE, KIM, MAX, answered, opened, receivers, request, sent_to, told_us

TIERS = """
[hand_over.tier2]
queue = "second"
needs = ["version"]
words = 3
[hand_over.boss]
role = "director"
[fields.version]
label = "Version"
queues = ["support"]
"""


def house_of(folder: Path, voice: str = "Example Support") -> House:
    base = blueprint()
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    policy = parse(f'voice = "{voice}"\n{text}\n{TIERS}', "default.toml")
    queues = {**base.directory.queues, "second": Queue("second", "second@example.com", "second-comment@example.com", "default")}
    people = {**base.directory.people, "carl": Person("carl", "Carl Roe", CARL, queues=("second",))}
    plan = replace(
        base, directory=replace(base.directory, people=people, queues=queues), policies=dict.fromkeys(queues, policy),
        site=replace(base.site, addresses=own_addresses(queues)),
    )  # fmt: skip
    return House(folder, plan)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = house_of(tmp_path)
    yield one
    one.close()


HANDED = "hand over tier2: it happens with large files"


def test_it_is_refused_with_a_list_of_what_is_missing(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    said = " ".join(sent_to(answered(house, notice, "hand over tier2"), JANE, "receipt").text.split())
    assert "tier2 needs to know first: `Version: …`; what you found, in 3 words or more behind `hand over tier2`" in said
    assert "Version: …" in said, "a line to copy"
    assert request(house).queue == "support"
    said = sent_to(answered(house, notice, "hand over tier9: it is broken there"), JANE, "receipt").text
    assert "there are tier2, boss" in " ".join(said.split())


@pytest.mark.parametrize(
    "line", [HANDED, "Hand over SECOND: it happens with large files", "Hand-over: tier2, it happens with large files"]
)
def test_the_other_tier_has_it_with_what_was_found(house: House, line: str) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    before = request(house)
    sent = answered(house, notice, f"Version: 4.2\n{line}")
    now = request(house)
    assert (now.queue, now.owner) == ("second", 0)
    assert receivers(sent, "handed-over") >= {CARL, KIM}, "the new tier, and who had it so far"
    told = " ".join(sent_to(sent, CARL, "handed-over").text.split())
    assert "it happens with large files" in told
    assert "Version: 4.2" in told
    assert not [one for one in sent if one.item.recipient == BOB], "the customer notices nothing"
    assert now.clocks == before.clocks, "its promises go on"


def test_the_customer_reads_one_sender(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    first = sent_to(answered(house, notice, "We look into it."), BOB, "words")
    handed = sent_to(answered(house, notice, f"Version: 4\n{HANDED}"), CARL, "handed-over")
    house.forward(minutes=10)
    answer = told_us(house, CARL, "It is mended.", subject=handed["Subject"], to=to_customer(handed.text))
    second = sent_to(answer, BOB, "words")
    assert first["From"] == second["From"] == "Example Support via Example <support@example.com>"
    assert second["Reply-To"].startswith("Example <support+")
    for name in ("Carl", "Jane", "second"):
        assert name not in second.text
        assert name not in str(second.mail)
    back = answered(house, second, "Thank you, it is!", who=BOB, proven=False)
    assert CARL in receivers(back, "notice")
    assert JANE in receivers(back, "notice"), "the front line goes on reading"
    shown = sent_to(answered(house, second, "show 1", who=BOB, proven=False), BOB, "answer").text
    assert "Example Support" in shown
    assert "Carl" not in shown


def to_customer(text: str) -> str:
    """The address behind the link by which staff answer the customer."""
    flat = " ".join(text.split())
    return flat.partition("Answer the customer: <mailto:")[2].partition("?")[0]


def test_what_is_asked_goes_on_being_read_in_the_other_tier(house: House) -> None:
    sent = opened(house)
    answered(house, sent_to(sent, JANE, "opened"), f"Version: 4\n{HANDED}")
    answered(house, sent_to(sent, BOB, "acknowledgement"), "Version: 4.1", who=BOB, proven=False)
    assert request(house).filled["version"]["value"] == "4.1"


def test_it_is_handed_to_a_person(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "hand over boss")
    assert "Max Boss has it" in " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert request(house).queue == "support"
    assert MAX in receivers(sent, "handed-over")
    assert "it is there already" in sent_to(answered(house, notice, "hand over boss"), JANE, "receipt").text


def test_it_is_taken_back(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, f"take\nVersion: 4\n{HANDED}")
    answered(house, notice, "undo")
    assert request(house).queue == "support"
    assert request(house).owner == house.engine.office.directory.people["jane"].party


def test_a_voice_that_is_the_sites_name_stands_alone(tmp_path: Path) -> None:
    house = house_of(tmp_path, voice="example")
    words = sent_to(answered(house, sent_to(opened(house), JANE, "opened"), "We look into it."), BOB, "words")
    assert words["From"] == "Example <support@example.com>"
    house.close()


BAD = {
    '[hand_over.x]\nneeds = ["v"]\nqueue = "q"': "hand_over.x.needs names no field: 'v'",
    "[hand_over.x]": "x is handed over to nobody",
    '[hand_over."x y"]\nqueue = "q"': "'x y' cannot be written behind `hand over`",
}


@pytest.mark.parametrize("text", BAD, ids=BAD.get)
def test_mistakes_are_told(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f'name = "X"\n{text}\n[priorities.P1]\ncode = 1\n', "x.toml")
    assert BAD[text] in [problem.what for problem in caught.value.problems]
