"""The status page: what is on it and what never is, written whole and only with news, light and dark, on narrow screens."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.engine.office import Office, StatusSettings
from rtmail.policy.clocks import State
from tests.fakes.entitled import entitled
from tests.fakes.house import House
from tests.fakes.staff import BOB, JANE, KIM, answered, clicked, opened, request, sent_to, told_us
from tests.test_story_incidents import OPEN, swept
from tests.test_story_maintenance import BEGINS, PLAN


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "interopion", roles=("support-management",), services=("mail",))
    use(one, tmp_path / "status")
    yield one
    one.close()


def use(house: House, folder: Path, language: str = "en") -> None:
    site = replace(house.plan.site, language=language, portal_url="https://portal.example.com/{number}")
    house.plan = replace(house.plan, site=site, status=StatusSettings(folder, "Our <service>"))
    house.engine.use(Office(house.plan, house.store, house.now))


def page(house: House) -> str:
    swept(house)
    house.engine.status(house.now)
    return (house.folder / "status" / "index.html").read_text("utf-8")


def test_it_says_that_all_is_well_and_is_written_once(house: House) -> None:
    text = page(house)
    assert "Everything works" in text
    assert "<title>Our &lt;service&gt;</title>" in text
    assert house.engine.status(house.now) == 0, "nothing is new"
    assert [path.name for path in (house.folder / "status").iterdir()] == ["index.html"]
    assert (house.folder / "status" / "index.html").stat().st_mode & 0o777 == 0o644


MINOR = OPEN.replace("critical", "minor")


def test_what_is_not_critical_is_on_the_page_and_nobody_is_written_to(house: House) -> None:
    sent = told_us(house, JANE, MINOR) + swept(house)
    assert {one.item.recipient for one in sent} == {JANE, KIM}
    said = " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert "The words of your mail go to the status page alone." in said
    assert "Mail is slow since this morning" in page(house)
    clock = next(one for one in request(house).clocks if one.name == "first-response")
    assert (clock.state, clock.confirmed) == (State.MET, True)
    mine = sent_to(opened(house, subject="No mail"), BOB, "acknowledgement")
    assert "We know of this already" in " ".join(mine.text.split())
    over = told_us(house, JANE, "close\n\nIt is mended.", subject="Re: [Example #1] Mail is slow")
    sent = clicked(house, sent_to(over, JANE, "asked"), "send to the customer", who=JANE) + swept(house)
    assert [one.item.template for one in sent if one.item.recipient == BOB] == ["incident-over"], "he asked about it"
    assert not [one for one in sent if one.item.template == "incident"]
    assert "It is mended." in page(house)


def test_what_becomes_critical_is_told_at_once_and_to_its_end(house: House) -> None:
    told_us(house, JANE, MINOR)
    swept(house)
    sent = told_us(house, JANE, "Severity: critical", subject="Re: [Example #1] Mail is slow", to="support-comment@example.com")
    assert "the severity is critical; it goes to 2 contacts" in " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert "at work on it" in " ".join(sent_to(swept(house), BOB, "incident").text.split())
    told_us(house, JANE, "Severity: minor", subject="Re: [Example #1] Mail is slow", to="support-comment@example.com")
    assert not [one for one in swept(house) if one.item.template == "incident"]
    over = told_us(house, JANE, "close\n\nIt is mended.", subject="Re: [Example #1] Mail is slow")
    sent = clicked(house, sent_to(over, JANE, "asked"), "send to the customer", who=JANE) + swept(house)
    assert "It is mended." in sent_to(sent, BOB, "incident").text


def test_what_would_be_on_no_page_and_in_no_mail_is_refused(house: House) -> None:
    refused = " ".join(sent_to(told_us(house, JANE, MINOR.replace("all", "acme")), JANE, "receipt").text.split())
    assert "of severity minor it is on the status page alone, which names no organisation" in refused
    told_us(house, JANE, MINOR)
    told_us(house, JANE, OPEN.replace("all", "acme").replace("Mail", "Login"))
    swept(house)
    for number, line in ((1, "Affects: acme"), (2, "Severity: minor")):
        subject = f"Re: [Example #{number}] {request(house, number).subject}"
        sent = told_us(house, JANE, line, subject=subject, to="support-comment@example.com")
        said = " ".join(sent_to(sent, JANE, "receipt").text.split())
        assert ("which names no organisation" in said) is (number == 1), "who was written to once is written to"


def test_without_words_nothing_is_on_the_page_yet(house: House) -> None:
    sent = told_us(house, JANE, MINOR.partition("\n\n")[0])
    assert "Nothing is on the status page so far" in " ".join(sent_to(sent, KIM, "opened").text.split())
    said = told_us(house, JANE, "Affects: service mail", subject="Re: [Example #1] Mail is slow", to="support-comment@example.com")
    assert "it is on the status page alone" in " ".join(sent_to(said, JANE, "receipt").text.split())
    assert not [one for one in swept(house) if one.item.recipient == BOB]


def test_links_in_the_words_are_links(house: House) -> None:
    """A roll-out with its release notes: planned work whose words name the page that has them."""
    told_us(house, JANE, PLAN.replace("Mail may be slow meanwhile.", "What is new: https://www.example.com/notes/4.2?a=1&b=2"))
    assert '<a href="https://www.example.com/notes/4.2?a=1&amp;b=2" rel="noopener">' in page(house)


def test_it_follows_an_incident_in_the_words_that_were_told(house: House) -> None:
    receipt = sent_to(told_us(house, JANE, OPEN.replace("all", "service mail")), JANE, "receipt")
    text = page(house)
    assert "Something is wrong" in text
    assert "Mail is slow since this morning" in text
    assert '<span class="services">mail</span>' in text
    assert "catastrophic failure" in text
    told_us(house, KIM, "SECRET cause", subject="Re: [Example #1] Mail is slow", to="support-comment@example.com")
    clicked(house, receipt, "answer the customer", who=JANE, body="A disk <b>is</b> full.")
    text = page(house)
    assert "A disk &lt;b&gt;is&lt;/b&gt; full." in text
    assert text.index("A disk") < text.index("since this morning"), "the newest first"
    clicked(house, receipt, "answer the customer", who=JANE, body="close\n\nIt is replaced.")
    text = page(house)
    assert "Everything works" in text
    assert text.index("The last two weeks") < text.index("It is replaced.")
    for inside in ("SECRET", "Jane", "Kim", "staff.example", "acme", "Acme", "bob@", "support-comment"):
        assert inside not in text
    house.forward(days=15)
    assert "It is replaced." not in page(house)


def test_who_is_a_customer_is_not_told(house: House) -> None:
    told_us(house, JANE, OPEN.replace("all", "acme"))
    told_us(house, JANE, OPEN.replace("all", "plan basic"))
    text = page(house)
    assert "Everything works" in text
    assert "Mail is slow" not in text


def test_what_nobody_was_told_of_is_not_on_it(house: House) -> None:
    told_us(house, JANE, OPEN, to="support-comment@example.com")
    assert "Mail is slow" not in page(house)


def test_planned_work(house: House) -> None:
    notice = sent_to(told_us(house, JANE, PLAN), KIM, "opened")
    text = page(house)
    assert "Everything works" in text
    assert text.index("Planned maintenance") < text.index("New router") < text.index("The last two weeks")
    house.now = BEGINS
    assert "Maintenance is under way" in page(house)
    answered(house, notice, "Maintenance: done")
    text = page(house)
    assert text.index("The last two weeks") < text.index("New router")
    assert "· done" in text


@pytest.mark.parametrize(("language", "said"), [("de", "Alles funktioniert"), ("uk", "Усе працює"), ("fr", "Everything works")])
def test_it_speaks_the_language_of_the_site(house: House, language: str, said: str) -> None:
    use(house, house.folder / "status", language)
    assert said in page(house)


def test_whoever_reads_meanwhile_gets_a_whole_page(house: House) -> None:
    page(house)
    target, broken, stop = house.folder / "status" / "index.html", [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            text = target.read_text("utf-8")
            if not text.endswith("</html>\n"):
                broken.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for title in range(30):
        told_us(house, JANE, OPEN.replace("Mail is slow", f"Mail is slow {title}", 1))
        page(house)
    stop.set()
    reader.join()
    assert not broken


def test_a_folder_that_cannot_be_written_stops_nothing(house: House) -> None:
    use(house, Path("/proc/none"))
    assert house.engine.status(house.now) == 0
    assert house.engine.status(house.now) == 0
    use(house, house.folder / "status")
    assert house.engine.status(house.now) == 1


def test_it_is_for_light_and_dark_and_narrow_screens_and_loads_nothing(house: House) -> None:
    told_us(house, JANE, OPEN)
    text = page(house)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert not re.search(r"<(?:script|img|link|iframe)\b|url\(|@import", text)
    light, dark = re.findall(r":root \{([^}]*)\}", text)[:2]
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for ink in ("ink", "faint", "well", "wrong", "work"):
            for ground in ("page", "card"):
                assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_acknowledgement_links_to_the_portal(house: House) -> None:
    assert "https://portal.example.com/1" in sent_to(opened(house), BOB, "acknowledgement").text
