# ruff: noqa: E501  (mails stand on one line each, so that they can be compared)
"""Quoting: new words against history, signature, forwards, marks. The law is that no new word is ever lost."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rtmail.mail.reading.marks import marks_in
from rtmail.mail.reading.quoting import (
    cut_own_quotes,
    forwarded_block,
    has_forward_prefix,
    has_reply_prefix,
    inline_forward,
    split,
    strip_reply_prefixes,
)

CORPUS = Path(__file__).parent / "mails" / "quoting"
EXPECTED: dict[str, dict[str, object]] = json.loads((CORPUS / "expected.json").read_text(encoding="utf-8"))
TOKEN = "abcdefghijklmnopqrstuvwxyz2345672345"
OUTLOOK = "From: Support <support@example.com>\nSent: Monday, June 3, 2024 10:12\nTo: Max\nSubject: [Example #1042] Printer\n\n"

OTHERWISE = {
    # Words below a quote are an inline answer to us; the peer takes them for a signature.
    "email_reply_trimmer/embedded_email_1.txt",
    # "2016-03-03 17:21 GMT+01:00 Some One" may as well be a line of a pasted log.
    "email_reply_trimmer/embedded_email_11.txt",
    # A row of underscores and a line below it may be new words.
    "email_reply_trimmer/embedded_email_7.txt",
}
"""Where we decide otherwise than the peer, because new words could be lost."""

CLIENTS: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
    (
        "outlook de",
        "Danke, das passt.\n\nVon: Support <s@x.de>\nGesendet: Montag, 3. Juni 2024 10:12\nAn: Max <m@y.de>\nBetreff: AW: Drucker\n\nAlter Text",
        ("passt",),
        ("Alter",),
    ),
    (
        "outlook fr",
        "Merci.\n\nDe : Support <s@x.fr>\nEnvoyé : lundi 3 juin 2024 10:12\nÀ : Max <m@y.fr>\nObjet : RE: Imprimante\n\nVieux",
        ("Merci",),
        ("Vieux",),
    ),
    (
        "outlook es",
        "Gracias\n\nDe: Support <s@x.es>\nEnviado: lunes, 3 de junio de 2024 10:12\nPara: Max\nAsunto: RE: x\n\nViejo",
        ("Gracias",),
        ("Viejo",),
    ),
    (
        "outlook pl",
        "Dzięki\n\nOd: Support <s@x.pl>\nWysłano: poniedziałek, 3 czerwca 2024 10:12\nDo: Max\nTemat: RE: x\n\nStare",
        ("Dzięki",),
        ("Stare",),
    ),
    (
        "outlook cs",
        "Díky\n\nOd: Support <s@x.pl>\nOdesláno: pondělí 3. června 2024 10:12\nKomu: Max\nPředmět: RE: x\n\nStare",
        ("Díky",),
        ("Stare",),
    ),
    (
        "outlook uk",
        "Дякую\n\nВід: Support <s@x.ua>\nНадіслано: понеділок, 3 червня 2024 р. 10:12\nКому: Max\nТема: RE: x\n\nСтаре",
        ("Дякую",),
        ("Старе",),
    ),
    (
        "outlook ru",
        "Спасибо\n\nОт: Support <s@x.ua>\nОтправлено: 3 июня 2024 г. 10:12\nКому: Max\nТема: RE: x\n\nСтарое",
        ("Спасибо",),
        ("Старое",),
    ),
    (
        "outlook fi",
        "Kiitos\n\nLähettäjä: S <s@x.fi>\nLähetetty: maanantai 3. kesäkuuta 2024 10.12\nVastaanottaja: M\nAihe: VS: x\n\nVanha",
        ("Kiitos",),
        ("Vanha",),
    ),
    (
        "ukr.net",
        'Не працює.\n\n3 червня 2024, 10:12:33, від "Support" <s@x.ua>:\n\nСтаре',
        ("Не працює",),
        ("від", "Старе"),
    ),
    ("mail.ru", "Не работает.\n\nПонедельник, 3 июня 2024, 10:12 +03:00 от Support <s@x.ua>:\n\nСтарое", ("Не работает",), (" от ", "Старое")),
    ("mail.ru en", "Dead.\n\nMonday, 3 June 2024, 10:12 +03:00 from Support <s@x.ua>:\n\nOld", ("Dead",), ("from", "Old")),
    ("outlook da", "Tak\n\nFra: S <s@x.dk>\nSendt: 3. juni 2024 10:12\nTil: M\nEmne: SV: x\n\nGammel", ("Tak",), ("Gammel",)),
    ("outlook hu", "Kösz\n\nFeladó: S <s@x.hu>\nElküldve: 2024. június 3. 10:12\nCímzett: M\nTárgy: Re: x\n\nRégi", ("Kösz",), ("Régi",)),
    (
        "outlook tr",
        "Teşekkürler\n\nKimden: S <s@x.tr>\nGönderildi: 3 Haziran 2024 10:12\nKime: M\nKonu: Ynt: x\n\nEski",
        ("Teş",),
        ("Eski",),
    ),
    ("outlook zh", "谢谢\n\n发件人: S <s@x.cn>\n发送时间: 2024年6月3日 10:12\n收件人: M\n主题: 回复: x\n\n旧的", ("谢谢",), ("旧的",)),
    ("outlook ja", "了解です\n\n差出人: S <s@x.jp>\n送信日時: 2024年6月3日 10:12\n宛先: M\n件名: RE: x\n\n古い", ("了解",), ("古い",)),
    (
        "outlook ko",
        "감사합니다\n\n보낸 사람: S <s@x.kr>\n보낸 날짜: 2024년 6월 3일 10:12\n받는 사람: M\n제목: RE: x\n\n옛날",
        ("감사",),
        ("옛날",),
    ),
    (
        "outlook it",
        "Grazie\n\nDa: S <s@x.it>\nInviato: lunedì 3 giugno 2024 10:12\nA: M\nOggetto: R: x\n\nVecchio",
        ("Grazie",),
        ("Vecchio",),
    ),
    ("outlook nl", "Dank\n\nVan: S <s@x.nl>\nVerzonden: maandag 3 juni 2024 10:12\nAan: M\nOnderwerp: RE: x\n\nOud", ("Dank",), ("Oud",)),
    (
        "outlook pt",
        "Obrigado\n\nDe: S <s@x.pt>\nEnviada em: segunda-feira, 3 de junho de 2024 10:12\nPara: M\nAssunto: RES: x\n\nVelho",
        ("Obrig",),
        ("Velho",),
    ),
    (
        "outlook el",
        "Ευχαριστώ\n\nΑπό: S <s@x.gr>\nΣτάλθηκε: Δευτέρα, 3 Ιουνίου 2024 10:12\nΠρος: M\nΘέμα: RE: x\n\nΠαλιό",
        ("Ευχ",),
        ("Παλιό",),
    ),
    (
        "outlook ro",
        "Mulțumesc\n\nDe la: S <s@x.ro>\nTrimis: luni, 3 iunie 2024 10:12\nCătre: M\nSubiect: RE: x\n\nVechi",
        ("Mul",),
        ("Vechi",),
    ),
    ("outlook he", "תודה\n\nמאת: S <s@x.il>\nנשלח: יום שני 3 יוני 2024 10:12\nאל: M\nנושא: RE: x\n\nישן", ("תודה",), ("ישן",)),
    ("gmail de", "Danke\n\nAm Mo., 3. Juni 2024 um 10:12 Uhr schrieb Support <s@x.de>:\n\n> Alt\n> Text", ("Danke",), ("Alt", "Uhr")),
    ("gmail fr", "Merci\n\nLe lun. 3 juin 2024 à 10:12, Support <s@x.fr> a écrit :\n\n> Vieux", ("Merci",), ("Vieux", "écrit")),
    ("gmail es", "Gracias\n\nEl lun, 3 jun 2024 a las 10:12, Support (<s@x.es>) escribió:\n\n> Viejo", ("Gracias",), ("Viejo", "escrib")),
    (
        "gmail pt",
        "Ok\n\nEm seg., 3 de jun. de 2024 às 10:12, Support <s@x.pt>\nescreveu:\n\n> Velho",
        ("Ok",),
        ("Velho", "escreveu", "seg."),
    ),
    (
        "gmail it",
        "Ok\n\nIl giorno lun 3 giu 2024 alle ore 10:12 Support <s@x.it> ha\nscritto:\n\n> Vecchio",
        ("Ok",),
        ("Vecchio", "giorno"),
    ),
    ("gmail nl", "Ok\n\nOp ma 3 jun 2024 om 10:12 schreef Support <s@x.nl>:\n\n> Oud", ("Ok",), ("Oud", "schreef")),
    ("gmail pl", "Ok\n\npon., 3 cze 2024 o 10:12 Support <s@x.pl> napisał(a):\n\n> Stare", ("Ok",), ("Stare", "pon")),
    ("gmail cs", "Ok\n\npo 3. 6. 2024 v 10:12 odesílatel Support <s@x.cz> napsal:\n\n> Stare", ("Ok",), ("Stare", "odes")),
    ("gmail uk", "Добре\n\nпн, 3 черв. 2024 р. о 10:12 Support <s@x.ua> пише:\n\n> Старе", ("Добре",), ("Старе", "черв")),
    ("gmail ru", "Ок\n\nпн, 3 июн. 2024 г. в 10:12, Support <s@x.ru>:\n\n> Старое", ("Ок",), ("Старое", "июн")),
    ("gmail sv", "Ok\n\nDen mån 3 juni 2024 kl 10:12 skrev Support <s@x.se>:\n\n> Gammalt", ("Ok",), ("Gammalt", "skrev")),
    ("gmail fi", "Ok\n\nma 3. kesäk. 2024 klo 10.12 Support (s@x.fi) kirjoitti:\n\n> Vanha", ("Ok",), ("Vanha", "kirj")),
    ("gmail ja", "はい\n\n2024年6月3日(月) 10:12 Support <s@x.jp>:\n\n> 古い", ("はい",), ("古い", "2024")),
    ("gmail zh", "好\n\nSupport <s@x.cn> 于2024年6月3日周一 10:12写道：\n\n> 旧", ("好",), ("旧", "写道")),
    ("gmail zhtw", "好\n\nSupport <s@x.cn> 於 2024年6月3日 週一 上午10:12寫道：\n\n> 旧", ("好",), ("旧", "寫道")),
    ("gmail ko", "네\n\n2024년 6월 3일 (월) 오전 10:12, Support <s@x.kr>님이 작성:\n\n> 옛날", ("네",), ("옛날", "작성")),
    ("gmail tr", "Tamam\n\nSupport <s@x.tr>, 3 Haz 2024 Pzt, 10:12 tarihinde şunu yazdı:\n\n> Eski", ("Tamam",), ("Eski", "yazd")),
    ("gmail hu", "Jó\n\nSupport <s@x.hu> ezt írta (időpont: 2024. jún. 3., H, 10:12):\n\n> Régi", ("Jó",), ("Régi", "írta")),
    (
        "gmail he",
        "כן\n\n\u202bבתאריך יום ב׳, 3 ביוני 2024 ב-10:12 מאת \u202aSupport\u202c\u200f <\u202as@x.il\u202c\u200f>:\u202c\n\n> ישן",
        ("כן",),
        ("ישן",),
    ),
    ("gmail ar", "نعم\n\nفي الاثنين، 3 يونيو 2024 في 10:12 ص تمت كتابة ما يلي بواسطة Support <s@x.ae>:\n\n> قديم", ("نعم",), ("قديم",)),
    (
        "gmail el",
        "Ναι\n\nΣτις Δευ 3 Ιουν 2024 στις 10:12 π.μ., ο χρήστης Support <s@x.gr> έγραψε:\n\n> Παλιό",
        ("Ναι",),
        ("Παλιό", "χρήστης"),
    ),
    ("gmail vi", "Ok\n\nVào Th 2, 3 thg 6, 2024 vào lúc 10:12 Support <s@x.vn> đã viết:\n\n> Cũ", ("Ok",), ("Cũ",)),
    ("gmail ro", "Da\n\nÎn lun., 3 iun. 2024 la 10:12, Support <s@x.ro> a scris:\n\n> Vechi", ("Da",), ("Vechi", "lun")),
    ("gmail da", "Ok\n\nDen man. 3. jun. 2024 kl. 10.12 skrev Support <s@x.dk>:\n\n> Gammel", ("Ok",), ("Gammel", "skrev")),
    ("gmail bg", "Да\n\nНа пн, 3.06.2024 г. в 10:12 Support <s@x.bg> написа:\n\n> Старо", ("Да",), ("Старо",)),
    ("apple", "Yes\n\n> On 3. Jun 2024, at 10:12, Support <s@x.org> wrote:\n> \n> Old\n> stuff", ("Yes",), ("Old",)),
    ("apple2", "Yes\n\nOn Jun 3, 2024, at 10:12 AM, Support <s@x.org> wrote:\n\n\ufeffOld text\nmore", ("Yes",), ("Old",)),
    ("thunderbird", "Yes\n\nOn 6/3/24 10:12, Support via Example wrote:\n> Old\n> stuff", ("Yes",), ("Old", "wrote")),
    ("thunderbird de", "Ja\n\nAm 03.06.24 um 10:12 schrieb Support:\n> Alt", ("Ja",), ("Alt", "schrieb")),
    (
        "yahoo",
        "Yes\n\n    On Monday, June 3, 2024 at 10:12:33 AM GMT+2, Support <s@x.org> wrote:  \n \n Old text\n more",
        ("Yes",),
        ("Old",),
    ),
    (
        "proton",
        "Yes\n\nSent with Proton Mail secure email.\n\nOn Monday, June 3rd, 2024 at 10:12 AM, Support <s@x.org> wrote:\n\n> Old",
        ("Yes",),
        ("Old", "Proton"),
    ),
    (
        "proton old",
        "Yes\n\n‐‐‐‐‐‐‐ Original Message ‐‐‐‐‐‐‐\nOn Monday, June 3rd, 2024 at 10:12 AM, Support <s@x.org> wrote:\n\n> Old",
        ("Yes",),
        ("Old",),
    ),
    (
        "outlook mobile",
        "Yes\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\nFrom: Support <s@x.org>\nSent: Monday, June 3, 2024 10:12:00 AM\nTo: M <m@y.org>\nSubject: [Example #1042] x\n\nOld",
        ("Yes",),
        ("Old", "Get"),
    ),
    ("lotus", 'Yes\n\n"Support" <s@x.org> wrote on 03.06.2024 10:12:13:\n\n> From: Support\n> Old', ("Yes",), ("Old",)),
    ("mutt", "Yes\n\nOn Mon, Jun 03, 2024 at 10:12:13AM +0200, Support wrote:\n> Old\n", ("Yes",), ("Old",)),
    ("neomutt sig", "Yes\n-- \nJane\n\nOn Mon, Jun 03, 2024 at 10:12:13AM +0200, Support wrote:\n> Old\n", ("Yes",), ("Old", "Jane")),
]
"""Client and language, text, words that are new, words that are not."""

LAW: list[tuple[str, str, tuple[str, ...]]] = [
    ("table", "Numbers:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n-----\nDone", ("| 1 | 2 |", "Done", "-----")),
    (
        "log paste",
        "2024-06-03 10:12:13 server wrote:\nerror 5\n2024-06-03 10:12:14 server wrote:\nerror 6",
        ("error 5", "error 6", "server wrote"),
    ),
    ("log paste2", "Look:\n\nOn 2024-06-03 10:12 the daemon wrote:\n\nFATAL\n\nWhy?", ("FATAL", "Why")),
    ("diff", "Patch:\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n", ("+new", "--- a/x")),
    ("ctx diff", "Here:\n3c3\n< old\n---\n> new\n", ("> new", "< old")),
    ("diff after quote", "On Mon, Jun 03, 2024 at 10:12, S wrote:\n> send the diff\n\nHere:\n3c3\n< old\n---\n> new\n", ("> new",)),
    ("python", "On Mon, Jun 03, 2024 at 10:12, S wrote:\n> try it\n\n>>> import x\nTraceback\n>>> y\n", ("Traceback", ">>> y")),
    (
        "headers pasted",
        "This is the mail that bounced:\n\nFrom: a@b\nTo: c@d\nSubject: x\nDate: Mon, 3 Jun 2024 10:12\n\nIt came back with 550. Please help.",
        ("550",),
    ),
    ("form", "Name: Max\nEmail: max@x.org\nDate: 2024-06-03 10:12\nSubject: Help\n\nMy printer burns", ("burns", "Max")),
    ("form2", "Hello\n\nFrom: Max\nDate: 3 June\nMessage: It burns\n", ("burns",)),
    ("dash sections", "Problem A: printer\n--\nProblem B: the scanner does not work either.\n", ("Problem B",)),
    ("dash sections2", "One\n--\n- two\n- three", ("three",)),
    ("rows", "One\n-----\nTwo\n=====\nThree\n_____\nFour", ("Four", "Two")),
    ("sentence", "I sent mail.\n\nSent from Outlook it fails", ("Sent from Outlook it fails",)),
    (
        "outlook inline hint",
        "See my answers inline.\n\nFrom: S <s@x>\nSent: Monday, June 3, 2024 10:12\nTo: M\nSubject: x\n\nWhich printer?\n[Max] the blue one",
        ("blue",),
    ),
    (
        "salutation",
        "Hi Jane,\n\nFrom: S <s@x>\nSent: Monday, June 3, 2024 10:12\nTo: M\nSubject: x\n\nWhich printer?\n\nThe blue one",
        ("blue",),
    ),
    ("quote on top", "> Which printer?\n\nThe blue one", ("blue", "Which")),
    ("human wrote", "On Monday 3 June 2024 at 10:12 your Bob wrote:\n\nWe come.\n\nNobody came!", ("Nobody",)),
    ("human wrote2", "Hello\n\nOn Monday 3 June 2024 at 10:12 your Bob wrote:\n\nWe come.\n\nNobody came!", ("Nobody", "We come")),
    ("swallow2", "restart at 10:12\nBob Roe <bob@x.org> wrote:\n> old", ("restart",)),
    ("orig text", 'I see "Original Message" in it\nand more', ("more",)),
    ("unsigned tail", "Yes.\n\nBest regards\nJane Doe\nACME", ("Jane Doe",)),
    ("bottom unquoted", "\n\nFrom: S <s@x>\nSent: Monday, June 3, 2024 10:12\nTo: M\nSubject: x\n\nold\n\nnew", ("new",)),
]
"""Texts that look like history and are not, or are in part; the words that must stay."""


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("path", sorted(EXPECTED))
def test_other_projects_replies(path: str) -> None:
    result = split((CORPUS / path).read_bytes().decode("utf-8"))
    expected = EXPECTED[path]
    if path in OTHERWISE:
        assert words(str(expected["reply_text"])).split()[0] in result.new
        assert words(result.new) != words(str(expected["reply_text"])), "no longer an exception: take it out of the list"
        return
    if "reply_text" in expected:
        assert words(result.new) == words(str(expected["reply_text"]))
    for part in expected.get("reply_contains", ()):  # type: ignore[attr-defined]
        assert words(part) in words(result.new)
    for part in expected.get("reply_absent", ()):  # type: ignore[attr-defined]
        assert part not in result.new


@pytest.mark.parametrize(("name", "text", "new", "old"), CLIENTS, ids=[row[0] for row in CLIENTS])
def test_history_of_each_client_and_language_is_told_apart(name: str, text: str, new: tuple[str, ...], old: tuple[str, ...]) -> None:
    result = split(text)
    for word in new:
        assert word in result.new
    for word in old:
        assert word not in result.new


@pytest.mark.parametrize(("name", "text", "kept"), LAW, ids=[row[0] for row in LAW])
def test_new_words_are_never_lost(name: str, text: str, kept: tuple[str, ...]) -> None:
    for word in kept:
        assert word in split(text).new


TEXTS = [row[1] for row in CLIENTS] + [row[1] for row in LAW] + [(CORPUS / path).read_bytes().decode("utf-8") for path in sorted(EXPECTED)]


@pytest.mark.parametrize("text", TEXTS)
def test_every_line_is_somewhere(text: str) -> None:
    result = split(text)
    told = {line.strip() for part in (result.new, result.quoted, result.signature) for line in part.split("\n")}
    assert [line for line in text.replace("\r\n", "\n").split("\n") if line.strip() and line.strip() not in told] == []


REPLY_LINES = [
    "\n".join(line for line in lines[1 : next(number for number, line in enumerate(lines) if line.startswith(">"))] if line.strip())
    for lines in (row[1].split("\n") for row in CLIENTS)
    if any(line.startswith(">") for line in lines[2:])
]
SENTENCES = (
    "{} is broken", "{}", "- {}", "On Monday {} came", "{}:", "{} wrote me", "| {} | b |", "---\n{}\n---", "{}\n\nmore", "On 3 May 2024 {} said 10:12",
    "10:12 {}", "2024-06-03 10:12:13 {} restarted", "From: {}", "Subject: {}", "ref:{}", "Sent from {} it fails", "--\n{} was not done yet, why is that?",
)  # fmt: skip
QUOTES = (
    "old words",
    "",
    "> older",
    "On 1 Jan 2020 10:00, a <b@c.d> wrote:",
    "-- ",
    "ref:x",
    "From: x",
    "---- Original Message ----",
    "Bob <b@c.d> wrote:",
)


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_among_quotes_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(150):
        parts, answers = [], []

        def answer(answers: list[str] = answers) -> str:
            answers.append(f"W{len(answers)}x{chance.randrange(10**6)}")
            return chance.choice(SENTENCES).format(answers[-1])

        if chance.random() < 0.5:
            parts.append(answer())
        parts.append(f"\n{chance.choice(REPLY_LINES)}\n")
        for _ in range(chance.randint(1, 3)):
            parts.append("\n".join(f"> {chance.choice(QUOTES)}" for _ in range(chance.randint(1, 4))))
            if chance.random() < 0.8:
                parts.append(f"{chance.choice(['', chr(10)])}{answer()}{chance.choice(['', chr(10)])}")
        text = "\n".join(parts)
        assert [word for word in answers if word not in split(text).new] == [], text


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_make_no_difference(ends: str) -> None:
    result = split(f"Yes.\n\n{OUTLOOK}old".replace("\n", ends))
    assert result.new == "Yes."
    assert result.quoted.endswith("old")


def test_inline_answers_keep_what_they_answer() -> None:
    result = split("On Mon, Jun 03, 2024 at 10:12, Support wrote:\n> Which?\nThe blue one.\n> Since when?\nMonday.\n\n> bye\n-- \nMax\n")
    assert result.new == "> Which?\nThe blue one.\n> Since when?\nMonday."
    assert "bye" in result.quoted
    assert result.signature == "-- \nMax"


def test_an_answer_below_one_quote_stands_alone() -> None:
    assert split("On Mon, Jun 03, 2024 at 10:12, Support wrote:\n> Which?\n\nThe blue one.").new == "The blue one."


def test_a_reply_line_without_a_date_stays_and_its_quote_goes() -> None:
    assert split("Yes.\n\nOn Friday, Bob wrote:\n> Which?\n> Since when?\n").new == "Yes.\n\nOn Friday, Bob wrote:"
    assert split("Yes.\n\nThe daemon said\n> error 5\n").new == "Yes.\n\nThe daemon said\n> error 5"


def test_only_history_is_no_word() -> None:
    result = split("On Mon, Jun 03, 2024 at 10:12, Support wrote:\n> Which?\n")
    assert result.new == ""
    assert "Which?" in result.quoted


@pytest.mark.parametrize(
    "above", ["These are the headers:", "My answers are inline", "siehe unten, meine Antworten", "voir mes réponses en rouge", "Hi Jane,"]
)
def test_unsure_gives_the_whole_text(above: str) -> None:
    result = split(f"{above}\n\n{OUTLOOK}old words\n[Max] new words")
    assert "new words" in result.new
    assert not result.sure
    assert "old words" in result.quoted


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nJane Doe\nACME", "--\nJane Doe\nTel. +1 555 0100", "Sent from my iPhone", "Von meinem iPhone gesendet", "Envoyé de mon iPhone",
        "Enviado desde mi iPhone", "Inviato da iPhone", "Verzonden vanaf mijn iPhone", "Skickat från min iPhone", "Sendt fra min iPhone",
        "Wysłane z iPhone'a", "Отправлено с iPhone", "Надіслано з iPhone", "iPhoneから送信", "发自我的iPhone", "Get Outlook for Android<https://aka.ms/x>",
        "Sent from my phone, please excuse typos.", "Gesendet mit der GMX Mail App", "Gesendet mit Proton Mail für Android.",
        "Gesendet mit Yahoo Mail auf Android", "Gesendet mit der Telekom Mail App", "Gesendet mit Spark", "Mobil gesendet",
        "Von meinem/meiner Galaxy gesendet", "Von meinem Huawei-Mobiltelefon gesendet", "Get BlueMail for Android",
        "Отримайте Outlook для iOS", "Надіслано з Пошти для Windows", "Надіслано з мого пристрою Galaxy", "Надіслано через Gmail",
        "Надіслано з мобільного додатка UKR.NET", "Надіслано з мобільного застосунку Ukr.net", "Надіслано з Proton Mail для iOS",
    ],
)  # fmt: skip
def test_signatures_are_taken_off(signature: str) -> None:
    result = split(f"It works again.\n\n{signature}\n")
    assert result.new == "It works again."
    assert result.signature == signature


@pytest.mark.parametrize(
    "tail",
    [
        "Sent from Outlook it fails", "Sent from my phone to the queue it never came", "--\nDoes the second printer work?", "--\n1. restart\n2. wait",
        "--\nThe second printer does not work either.", "-----\nTotal 5", "Best regards\nJane Doe", "_______________________\nTotal 5", "-Restart Server",
    ],
)  # fmt: skip
def test_words_that_only_resemble_a_signature_stay(tail: str) -> None:
    assert split(f"It fails.\n\n{tail}").new == f"It fails.\n\n{tail}"


@pytest.mark.parametrize(
    "quoted",
    [
        f"> ref:{TOKEN}", f"> ref:{TOKEN[:20]}\n> {TOKEN[20:]}", f"REF:{TOKEN.upper()}", f"> [internal: staff only] ref:{TOKEN}",
        f">> ref:\n>> {TOKEN}", f"ref:{TOKEN[:30]}=\n> {TOKEN[30:]}", f"| ref: {TOKEN}", f"> (ref:{TOKEN[:5]}\u200b{TOKEN[5:]})",
    ],
)  # fmt: skip
def test_marks_survive_what_clients_do_to_them(quoted: str) -> None:
    assert marks_in(quoted) == (TOKEN,)


@pytest.mark.parametrize(
    "quoted", [f"> ref:{TOKEN[:35]}", f"> ref:{TOKEN}x", f"> xref:{TOKEN}", f"> ref:{TOKEN[:10]} {TOKEN[10:]}", "> ref:", ""]
)
def test_what_is_no_mark(quoted: str) -> None:
    assert marks_in(quoted) == ()


def test_the_nearest_mark_is_first() -> None:
    other = TOKEN[::-1]
    assert marks_in(f">> ref:{other}\n> ref:{TOKEN}\n> ref:{TOKEN}") == (TOKEN, other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Thanks\n\n{OUTLOOK}old\n\nref:{TOKEN}", (TOKEN,)),
        (
            f"Thanks\n\n{OUTLOOK.replace('From', 'Xyz').replace('Sent', 'Abc').replace('To', 'Ttt').replace('Subject', 'Qqq')}old\n\nref:{TOKEN}",
            (TOKEN,),
        ),
        (f"Thanks\n\nOn Mon, Jun 03, 2024 at 10:12, Support wrote:\n> old\n>\n> ref:{TOKEN}", (TOKEN,)),
        (f"Thanks\n\n> old\n>\n> ref:{TOKEN}", (TOKEN,)),
        (f"My number is ref:{TOKEN}\n\n> old", ()),
        (f"ref:{TOKEN}", ()),
    ],
)
def test_marks_are_read_in_the_quoted_part_only(text: str, found: tuple[str, ...]) -> None:
    assert marks_in(split(text).quoted) == found


def test_history_in_an_unknown_language_is_known_by_our_mark_below_it() -> None:
    block = "Xyz: Support <s@example.com>\nAbc: Monday, June 3, 2024 10:12\nTtt: Max\nQqq: Printer\n\nold"
    assert split(f"Thanks\n\n{block}\n\nref:{TOKEN}").new == "Thanks"
    assert "old" in split(f"Thanks\n\n{block}").new


@pytest.mark.parametrize("block", [
    "DelCc: ann@acme.example\nAddCc: eve@far.example\nStarts: Sat 22:00\nredact",
    "Owner: jane\nAddCc: eve@far.example\nDue: Fri 15:00",
    "Due: 2 Dec 2026 15:00\n**Add-Cc:** eve@far.example\nUpdate-every: 4h\n\nHello Bob,\n\nwe come.",
    "Subject: Printer 15:00\nsnooze until Mon 9:00\nCc: eve@far.example\nok",
])  # fmt: skip
def test_commands_with_an_address_and_a_time_are_no_header(block: str) -> None:
    found = split(f"{block}\n\nOn Mon, 23 Nov 2026 at 10:00, Example <s@example.com> wrote:\n> old\n> ref:{TOKEN}")
    assert (found.new, found.history_first) == (block, False)


@pytest.mark.parametrize(
    ("subject", "reply", "forward", "bare"),
    [
        ("Re: a", True, False, "a"), ("RE[2]: a", True, False, "a"), ("Re^2: a", True, False, "a"), ("Re(3): a", True, False, "a"),
        ("AW: SV: a", True, False, "a"), ("回复：a", True, False, "a"), ("答复: a", True, False, "a"), ("Antw: a", True, False, "a"),
        ("Odp: a", True, False, "a"), ("RE : a", True, False, "a"), ("RE:RE: b", True, False, "b"), ("R: a", True, False, "a"),
        ("Відп: a", True, False, "a"), ("Ynt: a", True, False, "a"), ("Fwd: Re: a", False, True, "Fwd: Re: a"), ("WG: a", False, True, "WG: a"),
        ("Re: Fwd: a", True, True, "Fwd: a"), ("转发: a", False, True, "转发: a"), ("TR : a", False, True, "TR : a"),
        ("Refund: a", False, False, "Refund: a"), ("Rename: a", False, False, "Rename: a"), ("Reset", False, False, "Reset"), ("", False, False, ""),
    ],
)  # fmt: skip
def test_prefixes(subject: str, reply: bool, forward: bool, bare: str) -> None:
    assert has_reply_prefix(subject) is reply
    assert has_forward_prefix(subject) is forward
    assert strip_reply_prefixes(subject) == bare


FORWARDS = [
    (
        "gmail",
        "---------- Forwarded message ---------\nFrom: Bob Roe <bob@Acme.example>\nDate: Tue, Jan 1, 2019\nSubject: Printer\nTo: <x@y.example>\n\n\n",
    ),
    (
        "gmail de",
        "---------- Weitergeleitete Nachricht ---------\nVon: Bob Roe <bob@acme.example>\nDate: Di., 1. Jan. 2019\nSubject: Printer\nTo: x\n\n",
    ),
    (
        "gmail fr",
        "---------- Message transféré ---------\nDe : Bob Roe <bob@acme.example>\nDate: mar. 1 janv. 2019\nSubject: Printer\nTo: x\n\n",
    ),
    (
        "gmail uk",
        "---------- Переслане повідомлення ---------\nВід: Bob Roe <bob@acme.example>\nДата: вт, 1 січ. 2019\nТема: Printer\nКому: x\n\n",
    ),
    ("apple", "Begin forwarded message:\n\nFrom: Bob Roe <bob@acme.example>\nSubject: Printer\nDate: 1 January 2019\nTo: x@y.example\n\n"),
    (
        "apple de",
        "Anfang der weitergeleiteten Nachricht:\n\nVon: Bob Roe <bob@acme.example>\nBetreff: Printer\nDatum: 1. Januar 2019\nAn: x\n\n",
    ),
    (
        "thunderbird",
        "-------- Forwarded Message --------\nSubject: \tPrinter\nDate: \tTue, 1 Jan 2019\nFrom: \tBob Roe <bob@acme.example>\nTo: \tx\n\n",
    ),
    (
        "thunderbird de",
        "-------- Weitergeleitete Nachricht --------\nBetreff: \tPrinter\nDatum: \tTue, 1 Jan 2019\nVon: \tBob Roe <bob@acme.example>\nAn: \tx\n\n",
    ),
    (
        "outlook mobile",
        "________________________________\nFrom: Bob Roe <bob@acme.example>\nSent: Tuesday, January 1, 2019\nTo: x\nSubject: Printer\n\n",
    ),
    ("outlook mailto", "From: Bob Roe [mailto:bob@acme.example]\nSent: Tuesday, January 1, 2019\nTo: x\nSubject: Printer\n\n"),
    (
        "outlook links",
        "From: Bob Roe <bob@acme.example<mailto:bob@acme.example>>\nSent: Tuesday, January 1, 2019\nTo: x\nSubject: Printer\n\n",
    ),
]


@pytest.mark.parametrize("above", ["", "Please open a request for him.\n\n-- \nJane\n\n"])
@pytest.mark.parametrize(("name", "block"), FORWARDS, ids=[row[0] for row in FORWARDS])
def test_forwards_name_their_sender(name: str, block: str, above: str) -> None:
    found = inline_forward(f"{above}{block}It burns.\nBob", "Fwd: Printer")
    assert found is not None
    assert found.mail.sender is not None
    assert (found.mail.sender.spec, found.mail.sender.name) == ("bob@acme.example", "Bob Roe")
    assert (found.mail.how, found.mail.subject, found.mail.text) == ("inline", "Printer", "It burns.\nBob")
    assert found.above == ("Please open a request for him." if above else "")


def test_apple_mail_quotes_what_it_forwards() -> None:
    text = (
        "See this.\n\n> Begin forwarded message:\n>\n> From: Bob <bob@acme.example>\n> Subject: Printer\n> Date: 1 May 2024\n>\n> It burns."
    )
    found = forwarded_block(text)
    assert found is not None
    assert (found.subject, found.text) == ("Printer", "It burns.")
    assert split(text).forwarded_header
    assert split(text).new == "See this."


def test_outlooks_block_is_a_forward_only_under_a_forwards_subject() -> None:
    assert forwarded_block(f"Thanks\n\n{OUTLOOK}old", "Re: Printer") is None
    assert forwarded_block(f"Thanks\n\n{OUTLOOK}old", "FW: Printer") is not None
    assert forwarded_block("Nothing of the kind", "FW: Printer") is None


def test_a_forward_inside_history_is_not_this_mails() -> None:
    history = "On Monday, June 3, 2024 at 10:12, Support <s@example.com> wrote:\n\nsee below\n\n---------- Forwarded message ---------\nFrom: a@b.example\nSubject: x\n\nold"
    assert forwarded_block(f"Thanks\n\n{history}") is None


def test_a_forward_with_nothing_above_shows_its_words() -> None:
    result = split("---------- Forwarded message ----------\nFrom: Bob <b@acme.example>\nSubject: x\nTo: y\n\nIt burns.")
    assert result.new == "It burns."
    assert result.forwarded_header


def is_ours(line: str) -> bool:
    return "[internal: staff only]" in line or "support-comment" in line


def test_quotes_of_ours_go_and_answers_stay() -> None:
    text = (
        "Hello Bob,\n\nOn Mon, Jun 03, 2024 at 10:12, Bob via Example wrote:\n> [internal: staff only] ref:x\n> Owner: nobody\n> Which printer?\n\n"
        "The blue one.\n\n> Since when?\n\nMonday.\n\n> comment: support-comment+x@example.com\n"
    )
    assert cut_own_quotes(text, is_ours) == "Hello Bob,\n\nThe blue one.\n\nMonday."
    shown = cut_own_quotes(text, is_ours, lambda line: line in ("Which printer?", "Since when?"))
    assert shown == "Hello Bob,\n\n> Which printer?\n\nThe blue one.\n\n> Since when?\n\nMonday."


def test_quotes_of_others_stay_whole() -> None:
    text = "> Which printer?\n\nThe blue one.  \n"
    assert cut_own_quotes(text, is_ours) == text


ATTACKS = {
    "from": "From: a\n", "outlook": "From: a\nSent: 1\nTo: b\n", "opener": "On 1 Jan 2020, a <b@c>\n", "signs": ">" * 200 + "\n",
    "reply": "On 1 Jan 2020 10:00, a <b@c> wrote:\n", "inline": "On 1 Jan 2020 10:00, a <b@c> wrote:\n> x\ny\n", "dash": "-- \n",
    "row": "----------\n", "original": "--- original message\n", "forward": "---------- Forwarded message ----------\n", "mark": "> ref:ab\n",
    "whole mark": f"> ref:{TOKEN}\n", "angle": "On 1 Jan 2020 10:00 a\n\n<\n", "apple": "Begin forwarded message:\n", "to": "To: a\nb\n", "blank": "\n",
    "phone": "Sent from my phone\n", "named": "On 1 Jan 2020 10:00, a <b@c> wrote:\nC> x\ny\n",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_twenty_thousand_hostile_lines_come_to_an_end(name: str) -> None:
    text = ATTACKS[name] * (20_000 // ATTACKS[name].count("\n"))
    calls: list[Callable[[], object]] = [
        lambda: split(text),
        lambda: split(text.replace("\n", " ")),
        lambda: marks_in(text),
        lambda: inline_forward(text, "Fwd: x"),
        lambda: cut_own_quotes(text, is_ours),
        lambda: strip_reply_prefixes(text),
    ]
    done: list[object] = []
    worker = threading.Thread(target=lambda: done.extend(call() for call in calls), daemon=True)
    worker.start()
    worker.join(timeout=120)
    assert len(done) == len(calls), "a hang, or an exception in the worker"
