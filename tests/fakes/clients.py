# ruff: noqa: E501  (what clients write stands on one line each, with the signs that they use)
"""Answers as people's mail clients compose them: headers, text and HTML of a reply to a mail of ours, in twelve languages.

Each client quotes the mail that it is given in its own way; the structures are those seen in mails on public lists (ids and
classes of the HTML, what stands around the quote, the order of parts, encodings). Dates in the lines above a quote are one fixed
instant: nobody reads them.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.header import Header
from email.policy import default
from html import escape
from html.parser import HTMLParser
from itertools import count
from typing import Any

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "uk", "ru", "ja", "zh")
POSTINGS = ("top", "bottom", "inline")
_IDS = count(1)

GMAIL = {
    "en": "On Mon, Nov 23, 2026 at 10:00\u202fAM {name} <{spec}> wrote:", "de": "Am Mo., 23. Nov. 2026 um 10:00 Uhr schrieb {name} <{spec}>:",
    "fr": "Le lun. 23 nov. 2026 à 10:00, {name} <{spec}> a écrit :", "es": "El lun, 23 nov 2026 a las 10:00, {name} (<{spec}>) escribió:",
    "it": "Il giorno lun 23 nov 2026 alle ore 10:00 {name} <{spec}> ha scritto:",
    "pt": "Em seg., 23 de nov. de 2026 às 10:00, {name} <{spec}> escreveu:", "nl": "Op ma 23 nov 2026 om 10:00 schreef {name} <{spec}>:",
    "pl": "pon., 23 lis 2026 o 10:00 {name} <{spec}> napisał(a):", "uk": "пн, 23 лист. 2026 р. о 10:00 {name} <{spec}> пише:",
    "ru": "пн, 23 нояб. 2026 г. в 10:00, {name} <{spec}>:", "ja": "2026年11月23日(月) 10:00 {name} <{spec}>:",
    "zh": "{name} <{spec}> 于2026年11月23日周一 10:00写道：",
}
APPLE = {
    "en": "On Nov 23, 2026, at 10:00\u202fAM, {name} <{spec}> wrote:", "de": "Am 23.11.2026 um 10:00 schrieb {name} <{spec}>:",
    "fr": "Le 23 nov. 2026 à 10:00, {name} <{spec}> a écrit :", "es": "El 23 nov 2026, a las 10:00, {name} <{spec}> escribió:",
    "it": "Il giorno 23 nov 2026, alle ore 10:00, {name} <{spec}> ha scritto:",
    "pt": "Em 23 de nov. de 2026, à(s) 10:00, {name} <{spec}> escreveu:",
    "nl": "Op 23 nov 2026 om 10:00 heeft {name} <{spec}> het volgende geschreven:",
    "pl": "Wiadomość napisana przez {name} <{spec}> w dniu 23 lis 2026, o godz. 10:00:",
    "uk": "23 лист. 2026 р. о 10:00 {name} <{spec}> пише:", "ru": "23 нояб. 2026 г., в 10:00, {name} <{spec}> написал(а):",
    "ja": "2026/11/23 10:00、{name} <{spec}>のメール:", "zh": "2026年11月23日 10:00，{name} <{spec}> 写道：",
}
THUNDERBIRD = {
    "en": "On 11/23/26 10:00, {name} wrote:", "de": "Am 23.11.26 um 10:00 schrieb {name}:", "fr": "Le 23/11/2026 à 10:00, {name} a écrit :",
    "es": "El 23/11/26 a las 10:00, {name} escribió:", "it": "Il 23/11/26 10:00, {name} ha scritto:",
    "pt": "Em 23/11/2026 10:00, {name} escreveu:", "nl": "Op 23-11-2026 om 10:00 schreef {name}:",
    "pl": "W dniu 23.11.2026 o 10:00, {name} pisze:", "uk": "23.11.26 10:00, {name} пише:", "ru": "23.11.2026 10:00, {name} пишет:",
    "ja": "On 2026/11/23 10:00, {name} wrote:", "zh": "在 2026/11/23 10:00, {name} 写道:",
}
YAHOO = {
    "en": "On Monday, November 23, 2026 at 10:00:33 AM GMT+1, {name} <{spec}> wrote:",
    "de": "Am Montag, 23. November 2026 um 10:00:33 MEZ hat {name} <{spec}> Folgendes geschrieben:",
    "fr": "Le lundi 23 novembre 2026 à 10:00:33 UTC+1, {name} <{spec}> a écrit :",
    "es": "El lunes, 23 de noviembre de 2026, 10:00:33 CET, {name} <{spec}> escribió:",
    "it": "Il lunedì 23 novembre 2026 alle ore 10:00:33 CET, {name} <{spec}> ha scritto:",
    "pt": "Em segunda-feira, 23 de novembro de 2026 às 10:00:33 BRT, {name} <{spec}> escreveu:",
    "nl": "Op maandag 23 november 2026 om 10:00:33 CET schreef {name} <{spec}>:",
    "pl": "W dniu poniedziałek, 23 listopada 2026 o 10:00:33 CET {name} <{spec}> napisał(a):",
    "uk": "понеділок, 23 листопада 2026 р. о 10:00:33 GMT+2, {name} <{spec}> пише:",
    "ru": "понедельник, 23 ноября 2026 г. в 10:00:33 GMT+3, {name} <{spec}> написал(а):",
    "ja": "2026年11月23日月曜日 10:00:33 JST、{name} <{spec}> さんが書きました:",
    "zh": "{name} <{spec}> 在 2026年11月23日 星期一 上午10:00:33 [GMT+8] 寫道：",
}
PROTON = {
    "en": "On Monday, November 23rd, 2026 at 10:00 AM, {name} <{spec}> wrote:", "de": "Am Montag, 23. November 2026 um 10:00, {name} <{spec}> schrieb:",
    "fr": "Le lundi 23 novembre 2026 à 10:00, {name} <{spec}> a écrit :", "es": "El lunes, 23 de noviembre de 2026 a las 10:00, {name} <{spec}> escribió:",
    "it": "Il lunedì 23 novembre 2026 alle 10:00, {name} <{spec}> ha scritto:", "pt": "Em segunda-feira, 23 de novembro de 2026 às 10:00, {name} <{spec}> escreveu:",
    "nl": "Op maandag 23 november 2026 om 10:00 schreef {name} <{spec}>:", "pl": "W dniu poniedziałek, 23 listopada 2026 o 10:00, {name} <{spec}> napisał(-a):",
    "uk": "У понеділок, 23 листопада 2026 р. о 10:00 {name} <{spec}> пише:", "ru": "понедельник, 23 ноября 2026 г. в 10:00, {name} <{spec}> пишет:",
    "ja": "2026年11月23日月曜日 10:00, {name} <{spec}> さんは次のように書きました:", "zh": "2026年11月23日星期一 10:00，{name} <{spec}> 写道：",
}
OUTLOOK = {
    "en": ("From", "Sent", "To", "Subject", "Monday, November 23, 2026 10:00 AM"), "de": ("Von", "Gesendet", "An", "Betreff", "Montag, 23. November 2026 10:00"),
    "fr": ("De ", "Envoyé ", "À ", "Objet ", "lundi 23 novembre 2026 10:00"), "es": ("De", "Enviado el", "Para", "Asunto", "lunes, 23 de noviembre de 2026 10:00"),
    "it": ("Da", "Inviato", "A", "Oggetto", "lunedì 23 novembre 2026 10:00"), "pt": ("De", "Enviada em", "Para", "Assunto", "segunda-feira, 23 de novembro de 2026 10:00"),
    "nl": ("Van", "Verzonden", "Aan", "Onderwerp", "maandag 23 november 2026 10:00"), "pl": ("Od", "Wysłano", "Do", "Temat", "poniedziałek, 23 listopada 2026 10:00"),
    "uk": ("Від", "Надіслано", "Кому", "Тема", "понеділок, 23 листопада 2026 р. 10:00"), "ru": ("От", "Отправлено", "Кому", "Тема", "понедельник, 23 ноября 2026 г. 10:00"),
    "ja": ("差出人", "送信日時", "宛先", "件名", "2026年11月23日 10:00"), "zh": ("发件人", "发送时间", "收件人", "主题", "2026年11月23日 10:00"),
}
PHONE = {
    "en": "Sent from my iPhone", "de": "Von meinem iPhone gesendet", "fr": "Envoyé de mon iPhone", "es": "Enviado desde mi iPhone", "it": "Inviato da iPhone",
    "pt": "Enviado do meu iPhone", "nl": "Verstuurd vanaf mijn iPhone", "pl": "Wysłane z iPhone'a", "uk": "Надіслано з iPhone", "ru": "Отправлено с iPhone",
    "ja": "iPhoneから送信", "zh": "发自我的 iPhone",
}
OUTLOOK_PHONE = {
    "en": "Get Outlook for iOS", "de": "Holen Sie sich Outlook für iOS", "fr": "Télécharger Outlook pour iOS", "es": "Obtener Outlook para iOS",
    "it": "Scarica Outlook per iOS", "pt": "Obter o Outlook para iOS", "nl": "Outlook voor iOS downloaden", "pl": "Pobierz aplikację Outlook dla systemu iOS",
    "uk": "Отримати Outlook для iOS", "ru": "Получить Outlook для iOS", "ja": "Outlook for iOS を入手", "zh": "获取 Outlook for iOS",
}
PROTON_LINE = "Sent with [Proton Mail](https://proton.me/mail/home) secure email."


@dataclass(frozen=True)
class Letter:
    """What a person does with a mail: his words as paragraphs, where they go, in a client of which language.

    at   posting "inline": the words follow the first quoted line that contains this
    """

    original: Any
    words: Sequence[str]
    posting: str
    language: str
    at: str = ""

    @property
    def name(self) -> str:
        return str(self.original["From"].addresses[0].display_name)

    @property
    def spec(self) -> str:
        return str(self.original["From"].addresses[0].addr_spec)

    @property
    def html(self) -> str:
        """What stands in the body element of the mail that is answered."""
        part = self.original.get_body(("html",))
        source = part.get_content() if part else ""
        return source.partition("<body")[2].partition(">")[2].rpartition("</body>")[0]

    def line(self, table: dict[str, str]) -> str:
        """The client's line above a quote."""
        return table[self.language].format(name=self.name, spec=self.spec)

    def quoted(self, width: int = 72, *, links: str = "{text} <{url}>") -> list[str]:
        """The lines of the mail that is answered, as a client makes them from its HTML."""
        reader = _Reader(links)
        reader.feed(self.html)
        lines: list[str] = []
        for line in reader.text().split("\n"):
            lines += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
        return lines

    def placed(self, quoted: Sequence[str], mark: Callable[[str], str]) -> list[str]:
        """The text body without the client's own lines: words below, above or within the quote, whose lines `mark` marks."""
        words = "\n\n".join(self.words).split("\n")
        marked = [mark(line) for line in quoted]
        if self.posting == "top":
            return marked
        if self.posting == "bottom":
            return [*marked, "", *words]
        split = next(number for number, line in enumerate(quoted) if self.at in line) + 1
        return [*marked[:split], "", *words, "", *marked[split:]]

    def halves(self) -> tuple[str, str]:
        """The quoted HTML before and after the line that an inline answer follows, what is open there closed and opened again."""
        at = self.html.index(self.at)
        end = min(found for tag in ("</p>", "</div>", "<br>") if (found := self.html.find(tag, at)) >= 0)
        opened: list[tuple[str, str]] = []
        for found in re.finditer(r"<(/?)([a-z0-9]+)([^>]*)>", self.html[:end]):
            if found[1]:
                opened.pop()
            elif found[2] not in ("br", "img", "hr", "meta"):
                opened.append((found[2], found[0]))
        return (
            self.html[:end] + "".join(f"</{tag}>" for tag, _ in reversed(opened)),
            "".join(whole for _, whole in opened) + self.html[end:],
        )

    def paragraphs(self, before: str, after: str) -> str:
        return "".join(f"{before}{escape(word)}{after}" for word in self.words)


class _Reader(HTMLParser):
    """HTML as lines; block elements break them, links are written out by a pattern."""

    _BLOCKS = frozenset({"p", "div", "tr", "br", "li", "h1", "h2", "h3", "table", "blockquote", "pre"})

    def __init__(self, links: str) -> None:
        super().__init__()
        self.links, self.out, self.shown, self.href = links, [""], 0, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shown += tag in ("style", "script")
        if tag in self._BLOCKS and self.out[-1]:
            self.out.append("")
        if tag == "a":
            self.href = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        self.shown -= tag in ("style", "script")
        if tag == "a" and self.href:
            self.out[-1] += self.links.format(text="", url=self.href.removeprefix("mailto:") if "@" in self.href and "?" not in self.href else self.href)
            self.href = ""
        if tag in ("p", "div", "table", "pre") and self.out[-1]:
            self.out += ["", ""]

    def handle_data(self, data: str) -> None:
        if not self.shown:
            self.out[-1] += " ".join(data.split()) + (" " if data[-1:].isspace() and data.strip() else "")

    def text(self) -> str:
        lines: list[str] = []
        for line in self.out:
            if line.strip() or (lines and lines[-1]):
                lines.append(line.strip())
        return "\n".join(lines).strip("\n")


# Each returns (text, HTML or "", its own header lines, charset of the parts, transfer encoding of the text).


def _gmail(letter: Letter, *, phone: bool = False) -> tuple[str, str, str, str, str]:
    line = letter.line(GMAIL)
    above = "\n".join(textwrap.wrap(line, 76, break_long_words=False, break_on_hyphens=False))
    body = letter.placed(letter.quoted(), lambda row: f"> {row}" if row else ">")
    top = "\n\n".join(letter.words) + "\n\n" if letter.posting == "top" else ""
    text = f"{top}{above}\n\n" + "\n".join(body) + "\n"
    attr = f'<div dir="ltr" class="gmail_attr">{escape(line)}<br></div>'
    style = 'class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex"'
    words = letter.paragraphs("<div>", "</div><div><br></div>")
    quote = f"<blockquote {style}>{letter.html}</blockquote>"
    if letter.posting == "top":
        opening = f'<div dir="auto">{words}</div>' if phone else f'<div dir="ltr">{words}</div>'
        html = f'{opening}<br><div class="gmail_quote gmail_quote_container">{attr}{quote}</div>\n'
    elif letter.posting == "bottom":
        html = f'<div dir="ltr"><div dir="ltr"><br></div><br><div class="gmail_quote gmail_quote_container">{attr}{quote}<div><br></div>{words}</div></div>\n'
    else:
        first, second = letter.halves()
        html = (
            f'<div dir="ltr"><div class="gmail_quote gmail_quote_container">{attr}<blockquote {style}>{first}</blockquote><div><br></div>{words}'
            f"<blockquote {style}>{second}</blockquote></div></div>\n"
        )
    return text, html, "", "UTF-8", "quoted-printable"


def _gmail_phone(letter: Letter) -> tuple[str, str, str, str, str]:
    return _gmail(letter, phone=True)


def _outlook_block(letter: Letter) -> list[tuple[str, str]]:
    from_, sent, to, subject, date = OUTLOOK[letter.language]
    return [(from_, f"{letter.name} <{letter.spec}>"), (sent, date), (to, str(letter.original["To"])), (subject, str(letter.original["Subject"]))]


def _outlook(letter: Letter) -> tuple[str, str, str, str, str]:
    """Outlook for Windows: Word writes the HTML, nothing is marked as quoted, an inline answer stands between the lines."""
    block = _outlook_block(letter)
    lines = letter.placed(letter.quoted(1000, links="{text}<{url}>"), str)
    top = "\n\n".join(letter.words) + "\n\n" if letter.posting == "top" else ""
    text = top + "\n".join(f"{label}: {value}" for label, value in block) + "\n\n" + "\n".join(lines) + "\n"
    normal = "<p class=MsoNormal>{}<o:p></o:p></p>"
    words = "".join(normal.format(f"<span style='color:red'>{escape(word)}</span>" if letter.posting != "top" else escape(word)) for word in letter.words)
    quoted = [normal.format(escape(line) or "&nbsp;") for line in letter.quoted(1000)]
    if letter.posting == "inline":
        split = next(number for number, line in enumerate(quoted) if escape(letter.at) in line) + 1
        quoted.insert(split, words)
    elif letter.posting == "bottom":
        quoted.append(words)
    header = "<br>".join(f"<b>{escape(label)}:</b> {escape(value)}" for label, value in block)
    html = (
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:w="urn:schemas-microsoft-com:office:word" '
        'xmlns="http://www.w3.org/TR/REC-html40"><head><meta name=Generator content="Microsoft Word 15 (filtered medium)"><style><!--\n'
        "p.MsoNormal {margin:0in;font-size:11.0pt;font-family:\"Aptos\",sans-serif;}\n--></style></head><body lang=EN-US link=\"#467886\" vlink=\"#96607D\" "
        f"style='word-wrap:break-word'><div class=WordSection1>{words if letter.posting == 'top' else ''}<p class=MsoNormal><o:p>&nbsp;</o:p></p>"
        "<div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'>"
        f"<p class=MsoNormal>{header}<o:p></o:p></p></div></div><p class=MsoNormal><o:p>&nbsp;</o:p></p>{''.join(quoted)}</div></body></html>\n"
    )
    return text, html, f"X-Mailer: Microsoft Outlook 16.0\nThread-Index: AQHWcybNOTailyD99kmbADMt8WJI1Kk5\nContent-Language: {letter.language}", "utf-8", "base64"


def _outlook_web(letter: Letter, signature: tuple[str, str] = ("", "")) -> tuple[str, str, str, str, str]:
    block = _outlook_block(letter)
    rows = letter.placed(letter.quoted(1000, links="{text}<{url}>"), str)
    top = "\n\n".join(letter.words) + "\n" if letter.posting == "top" else ""
    text = f"{top}{signature[0]}\n{'_' * 32}\n" + "\n".join(f"{label}: {value}" for label, value in block) + "\n\n" + "\n".join(rows) + "\n"
    header = "<br>\n".join(f"<b>{escape(label)}:</b> {escape(value)}" for label, value in block)
    style = 'class="elementToProof" style="font-family: Aptos, Aptos_EmbeddedFont, Calibri, Helvetica, sans-serif; font-size: 12pt; color: rgb(0, 0, 0);"'
    words = letter.paragraphs(f"<div {style}>", f"</div>\n<div {style}><br></div>\n")
    quoted = letter.html.replace('class="', 'class="x_').replace('id="', 'id="x_')
    if letter.posting == "bottom":
        quoted += words
    elif letter.posting == "inline":
        first, second = letter.halves()
        quoted = first + words + second
    html = (
        '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\n<style type="text/css" style="display:none;"> P {margin-top:0;'
        f'margin-bottom:0;}} </style>\n</head>\n<body dir="ltr">\n{words if letter.posting == "top" else ""}{signature[1]}<div id="appendonsend"></div>\n'
        '<hr style="display:inline-block;width:98%" tabindex="-1">\n<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif" '
        f'style="font-size:11pt" color="#000000">{header}</font>\n<div>&nbsp;</div>\n</div>\n<div>{quoted}</div>\n</body>\n</html>\n'
    )
    return text, html, f"Thread-Topic: Printer\nContent-Language: {letter.language}\nX-MS-Has-Attach:", "utf-8", "quoted-printable"


def _outlook_phone(letter: Letter) -> tuple[str, str, str, str, str]:
    said = OUTLOOK_PHONE[letter.language]
    html = f'<div class="ms-outlook-ios-signature" id="ms-outlook-mobile-signature"><a href="https://aka.ms/o0ukef">{said}</a></div>\n'
    return _outlook_web(letter, (f"\n{said}<https://aka.ms/o0ukef>", html))


def _apple(letter: Letter) -> tuple[str, str, str, str, str]:
    line, mark = letter.line(APPLE), lambda row: f"> {row}" if row else "> "
    rows = letter.quoted(1000)
    body = letter.placed([line, "", *rows], mark)
    top = "\n\n".join(letter.words) + "\n\n" if letter.posting == "top" else ""
    text = top + "\n".join(body) + "\n"
    words = letter.paragraphs("<div>", "</div><div><br></div>")
    attribution = f'<div>{escape(line)}</div><br class="Apple-interchange-newline">'
    if letter.posting == "inline":
        first, second = letter.halves()
        quote = f'<blockquote type="cite">{attribution}<div>{first}</div></blockquote><div><br></div>{words}<blockquote type="cite"><div>{second}</div></blockquote>'
    else:
        quote = f'<blockquote type="cite">{attribution}<div>{letter.html}</div></blockquote>'
    html = (
        '<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head><body style="overflow-wrap: break-word; '
        f'-webkit-nbsp-mode: space; line-break: after-white-space;">{words if letter.posting == "top" else ""}<br id="lineBreakAtBeginningOfMessage">'
        f"<div><br>{quote}</div><br>{words if letter.posting == 'bottom' else ''}</body></html>"
    )
    return text, html, "X-Mailer: Apple Mail (2.3826.300.87.4.3)", "utf-8", "quoted-printable"


def _iphone(letter: Letter) -> tuple[str, str, str, str, str]:
    line, said = letter.line(APPLE), PHONE[letter.language]
    body = letter.placed([line, "", *letter.quoted(1000)], lambda row: f"> {row}" if row else "> ")
    top = "\n\n".join(letter.words) + f"\n\n{said}\n\n" if letter.posting == "top" else ""
    text = top + "\n".join(body) + "\n" + ("" if letter.posting == "top" else f"\n{said}\n")
    words = letter.paragraphs('<div dir="ltr">', "</div>")
    signature = f'<br><div dir="ltr">{escape(said)}</div>'
    first, second = (letter.html, "") if letter.posting != "inline" else letter.halves()
    quote = (
        f'<div dir="ltr"><br><blockquote type="cite">{escape(line)}<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">\ufeff{first}</div></blockquote>'
    )
    if letter.posting == "inline":
        quote += f'{words}<blockquote type="cite"><div dir="ltr">{second}</div></blockquote>'
    inner = f"{words}{signature}{quote}" if letter.posting == "top" else f"{quote}{words if letter.posting == 'bottom' else ''}{signature}"
    html = f'<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head><body dir="auto">{inner}</body></html>'
    return text, html, "X-Mailer: iPhone Mail (22G100)", "utf-8", "quoted-printable"


def _thunderbird(letter: Letter, *, as_html: bool = True) -> tuple[str, str, str, str, str]:
    line = letter.line(THUNDERBIRD)
    body = letter.placed(letter.quoted(), lambda row: f"> {row}" if row else ">")
    top = "\n\n".join(letter.words) + "\n\n" if letter.posting == "top" else ""
    text = f"{top}{line}\n" + "\n".join(body) + "\n"
    words = letter.paragraphs("<p>", "</p>\n")
    prefix = f'<div class="moz-cite-prefix">{escape(line)}<br></div>'
    cite = f'<blockquote type="cite" cite="mid:{escape(str(letter.original["Message-ID"]).strip("<>"))}">'
    first, second = (letter.html, "") if letter.posting != "inline" else letter.halves()
    inner = f"{prefix}{cite}{first}</blockquote>"
    if letter.posting == "inline":
        inner += f"{words}{cite}{second}</blockquote>"
    elif letter.posting == "bottom":
        inner += f"<br>{words}"
    else:
        inner = words + inner
    html = f'<!DOCTYPE html>\n<html>\n  <head>\n    <meta http-equiv="Content-Type" content="text/html; charset=UTF-8">\n  </head>\n  <body>\n{inner}\n  </body>\n</html>\n'
    return text, html if as_html else "", f"User-Agent: Mozilla Thunderbird\nContent-Language: {letter.language}", "UTF-8", "8bit"


def _thunderbird_text(letter: Letter) -> tuple[str, str, str, str, str]:
    return _thunderbird(letter, as_html=False)


def _yahoo(letter: Letter) -> tuple[str, str, str, str, str]:
    line = letter.line(YAHOO)
    rows = [" " + row for row in letter.quoted(1000)]
    words = "\n\n".join(" " + word for word in letter.words)
    if letter.posting == "inline":
        split = next(number for number, row in enumerate(rows) if letter.at in row) + 1
        rows[split:split] = ["", *words.split("\n"), ""]
    top, below = (f"{words}\n\n", "") if letter.posting == "top" else ("", f"\n{words}\n" if letter.posting == "bottom" else "")
    text = f"{top}    {line}  \n \n" + "\n".join(rows) + "   " + below + "\n"
    said = letter.paragraphs('<div dir="ltr" data-setdir="false">', "</div><div><br></div>")
    first, second = (letter.html, "") if letter.posting != "inline" else letter.halves()
    between = said if letter.posting == "inline" else ""
    html = (
        '<html><head></head><body><div class="ydp66d139c6yahoo-style-wrap" style="font-family:Helvetica Neue, Helvetica, Arial, sans-serif;font-size:13px;"><div></div>\n'
        f'        {said if letter.posting == "top" else ""}<div><br></div>\n        \n        </div><div id="ydpdb28840fyahoo_quoted_2142999335" class="ydpdb28840fyahoo_quoted">\n'
        "            <div style=\"font-family:'Helvetica Neue', Helvetica, Arial, sans-serif;font-size:13px;color:#26282a;\">\n                \n                <div>\n"
        f'                    {escape(line)}\n                </div>\n                <div><br></div>\n                <div><div id="ydpdb28840fyiv1566047874"><div>'
        f"{first}</div>{between}<div>{second}</div></div></div>\n            </div>\n        </div>{said if letter.posting == 'bottom' else ''}</body></html>\n"
    )
    return text, html, "X-Mailer: WebService/1.1.24612 YMailNorrin", "UTF-8", "quoted-printable"


def _proton(letter: Letter) -> tuple[str, str, str, str, str]:
    line = letter.line(PROTON)
    body = letter.placed(letter.quoted(), lambda row: f"> {row}" if row else ">")
    top = "\n\n".join(letter.words) + f"\n\n{PROTON_LINE}\n\n" if letter.posting == "top" else f"{PROTON_LINE}\n\n"
    text = f"{top}{line}\n\n" + "\n".join(body) + "\n"
    style = 'style="font-family: Arial, sans-serif; font-size: 14px;"'
    words = letter.paragraphs(f"<div {style}>", "</div>")
    signature = (
        f'<div class="protonmail_signature_block" {style}><div class="protonmail_signature_block-user protonmail_signature_block-empty"></div>'
        '<div class="protonmail_signature_block-proton">Sent with <a target="_blank" href="https://proton.me/mail/home">Proton Mail</a> secure email.</div></div>'
    )
    first, second = (letter.html, "") if letter.posting != "inline" else letter.halves()
    inner = f'<blockquote class="protonmail_quote" type="cite">{first}</blockquote>'
    if letter.posting == "inline":
        inner += f'{words}<blockquote class="protonmail_quote" type="cite">{second}</blockquote>'
    quote = f'<div class="protonmail_quote">{escape(line)}<br><br>{inner}<br></div>'
    html = (f"{words}{signature}" if letter.posting == "top" else signature) + f"<div {style}><br></div>{quote}" + (words if letter.posting == "bottom" else "")
    return text, html, "Feedback-ID: 123:user:proton", "utf-8", "quoted-printable"


CLIENTS: dict[str, Callable[[Letter], tuple[str, str, str, str, str]]] = {
    "gmail": _gmail, "gmail-phone": _gmail_phone, "outlook": _outlook, "outlook-web": _outlook_web, "outlook-phone": _outlook_phone, "apple": _apple,
    "iphone": _iphone, "thunderbird": _thunderbird, "thunderbird-text": _thunderbird_text, "yahoo": _yahoo, "proton": _proton,
}
UNMARKED = frozenset({"outlook", "outlook-web", "outlook-phone", "yahoo"})
"""Clients whose text marks no line of a quote: what stands below or within it cannot be told from it."""


def reply_from(
    client: str, raw: bytes, words: Sequence[str], *, sender: str, posting: str = "top", language: str = "en", at: str = "", html_only: bool = False
) -> bytes:
    """Return the answer to `raw` that a client makes of somebody's words, ready to be handed to a server."""
    original: Any = message_from_bytes(raw, policy=default)
    text, html, own, charset, encoding = CLIENTS[client](Letter(original, words, posting, language, at))
    known = str(original["Message-ID"])
    references = f"{original['References'] or ''} {known}".strip()
    subject = str(original["Subject"])
    subject = subject if subject.startswith("Re: ") else f"Re: {subject}"
    name, _, spec = sender.rpartition(" <")
    head = [
        f"From: {Header(name, 'utf-8').encode() if not name.isascii() else name} <{spec}",
        f"To: {original['Reply-To'] or original['From']}",
        f"Subject: {subject if subject.isascii() else Header(subject, 'utf-8').encode()}",
        "Date: Mon, 23 Nov 2026 11:00:00 +0100",
        f"Message-ID: <{client}.{next(_IDS)}@{spec.rstrip('>').rpartition('@')[2]}>",
        f"In-Reply-To: {known}", f"References: {references.replace(' ', chr(10) + ' ')}", "MIME-Version: 1.0", *filter(None, own.split("\n")),
    ]
    plain, drawn = _part(text, "plain", charset, encoding, client), _part(html, "html", charset, "base64" if client == "proton" else encoding, client)
    if html_only and html:
        root = drawn
    elif not html:
        root = plain
    else:
        boundary = {"gmail": "000000000000ab12cd05e1f2a3b4", "apple": "Apple-Mail=_5D4B2C1A", "iphone": "Apple-Mail-7A1F"}.get(client, "----=_NextPart_000_0012")
        root = f'Content-Type: multipart/alternative; boundary="{boundary}"\n\n--{boundary}\n{plain}\n--{boundary}\n{drawn}\n--{boundary}--\n'
    return "\r\n".join(("\n".join(head) + "\n" + root).split("\n")).encode()


def _part(text: str, subtype: str, charset: str, encoding: str, client: str) -> str:
    flowed = "; format=flowed" if client.startswith("thunderbird") and subtype == "plain" else ""
    data = text.encode()
    if encoding == "base64":
        body = base64.encodebytes(data).decode()
    elif encoding == "quoted-printable":
        body = binascii.b2a_qp(data).decode()
    else:
        body = text
    return f'Content-Type: text/{subtype}; charset="{charset}"{flowed}\nContent-Transfer-Encoding: {encoding}\n\n{body}'
