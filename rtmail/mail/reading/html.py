"""HTML to text that reads like the plain part its sender did not write.

`message` calls it where a mail has no text/plain. What a mail client marks as quoted (blockquote, Gmail's and Outlook's
containers) becomes lines with "> ", dividers and signatures become the lines that plain mails carry, so that
`quoting.split` has one kind of text to deal with. Layout is inscriptis' work, on a tree that lxml reads without its depth
limit (P11); what neither can take is stripped of its tags.
"""

from __future__ import annotations

import contextlib
import html as entities
import re
from typing import Any

HTML_CHARS = 1_000_000
"""Longer HTML is cut (inscriptis takes 0.6 s for this much)."""
TAGS = 60_000
"""HTML with more tags than this is stripped of them instead: laying out each costs time."""
DEPTH = 400
"""Deeper trees are stripped too: inscriptis recurses per level."""
QUOTE_DEPTH = 30
DIVIDER = "_" * 32
"""What Outlook writes above a plain-text answer's header block."""

LINK_CHARS = 500
"""Longer link targets are not written out."""

CONTENT_ID_CHARS = 200

_CONTAINERS = frozenset({"gmail_quote", "gmail_quote_container", "protonmail_quote", "zmail_extra", "tutanota_quote"})
"""Classes of what clients put around an attribution line and the quote itself.

Yahoo's is none of them: people write their answers into it, between unmarked lines, and they would go with it.
"""
_HEADER_BLOCK_IDS = frozenset({"divrplyfwdmsg", "olk_src_body_section", "mail-editor-reference-message-container"})
_SIGNATURE_CLASSES = frozenset({"gmail_signature", "moz-signature", "protonmail_signature_block", "tutanota_signature"})
_INDENT = re.compile(r"border(?:-\w+)?\s*:\s*(?:none|0|medium none)", re.IGNORECASE)
_RULE_ABOVE = re.compile(r"border-top\s*:\s*solid|border\s*:\s*none\s*;\s*border-top", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:x_|m_-?\d{5,25}|ydp[0-9a-f]{6,12}(?:yiv\d{5,15})?)+")
"""What Outlook, Gmail and Yahoo put before the names of classes of what they quote."""
_LABELLED = re.compile(r"\s*\w{2,15}\s?[:：]")
"""How a header block begins ("From:", "De :", "发件人："); an attribution has more words before its colon."""
_INVISIBLE = re.compile(r"(?is)<(script|style|head|title|template)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)")
_BREAK = re.compile(r"(?i)<(?:br|/?(?:p|div|tr|li|h[1-6]|table|blockquote|pre))\b[^<>]*>")
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>?")
_BLANK_RUN = re.compile(r"\n(?:[ \t\xa0]*\n){2,}")
_MARK = re.compile("\ue000([0-9]{1,6})\ue001")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ue000\ue001\ufffe\uffff]")
_DECLARATION = re.compile(r"^\s*<\?xml[^<>]*\?>")


def html_to_text(source: str) -> str:
    """Return `source` as text, quoted parts as "> " lines; total: whatever the HTML, never raises."""
    source = _DECLARATION.sub("", _UNREADABLE.sub("", source[:HTML_CHARS]))
    if not source.strip():
        return ""
    text = ""
    if source.count("<") <= TAGS:
        # RecursionError, lxml's own errors on broken trees: then the words matter, not the layout.
        with contextlib.suppress(Exception):
            text = _laid_out(source)
    return _tidied(text if text.strip() else strip_tags(source))


def strip_tags(source: str) -> str:
    """Return the words of `source` without layout, in linear time."""
    text = _BREAK.sub("\n", _INVISIBLE.sub(" ", source[:HTML_CHARS]))
    lines = (" ".join(line.split()) for line in entities.unescape(_TAG.sub("", text)).split("\n"))
    return _BLANK_RUN.sub("\n\n", "\n".join(lines)).strip()


def _tidied(text: str) -> str:
    lines = [line.rstrip(" \t\xa0") for line in text.replace("\r", "").split("\n")]
    # Layout drops the blank that makes "-- " a signature's line.
    return _BLANK_RUN.sub("\n\n", "\n".join("-- " if line == "--" else line for line in lines)).strip("\n")


def _laid_out(source: str) -> str:
    """Return the text of the tree, "" where the tree is too deep to lay out."""
    # Imported here: who only wants the module's other functions needs no lxml.
    import lxml.html

    lxml_html: Any = lxml.html
    parser = lxml_html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, no_network=True, encoding="utf-8")
    # As bytes: a str that names an encoding in its head is refused.
    root = lxml_html.document_fromstring(source.encode("utf-8"), parser=parser)
    if _depth(root) > DEPTH:
        return ""
    _mark_headers_and_signatures(root)
    _write_out_links(root)
    _name_pictures(root)
    return _render(root, 0)


def _depth(root: Any) -> int:
    from lxml.etree import iterwalk

    deepest, depth = 0, 0
    for event, _ in iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def _render(root: Any, level: int) -> str:
    """Return the text of the element `root`; the quotes in it become "> " lines."""
    from inscriptis.css_profiles import CSS_PROFILES
    from inscriptis.html_engine import Inscriptis
    from inscriptis.model.canvas.block import Block
    from inscriptis.model.config import ParserConfig

    # Its own looks at each character, and is as much work as all the rest of reading a mail of HTML.
    Block.merge_normal_text = _merge_normal_text  # type: ignore[method-assign,assignment]
    quotes: list[Any] = []
    for element in list(root.iter()) if level < QUOTE_DEPTH else ():
        if element is not root and isinstance(element.tag, str) and _is_quote(element) and not _inside(element, root, quotes):
            quotes.append(element)
    for number, element in enumerate(quotes):
        mark = element.makeelement("div")
        mark.text, mark.tail = f"\ue000{number}\ue001", element.tail
        element.tail = None
        element.getparent().replace(element, mark)
    # "strict": the other profile writes a blank on both sides of every span.
    text = Inscriptis(root, ParserConfig(css=CSS_PROFILES["strict"])).get_text()
    if not quotes:
        return str(text)
    lines: list[str] = []
    for line in text.split("\n"):
        at = 0
        for match in _MARK.finditer(line):
            if line[at : match.start()].strip():
                lines.append(line[at : match.start()].rstrip())
            inner = _tidied(_render(quotes[int(match[1])], level + 1))
            lines += [(">" + row if row.startswith(">") else f"> {row}".rstrip()) for row in inner.split("\n")]
            at = match.end()
        if line[at:].strip() or not at:
            lines.append(line[at:])
    return "\n".join(lines)


def _merge_normal_text(block: Any, text: str) -> None:
    """Add `text` to a line of inscriptis' with every run of white space as one blank, and none where one stands already."""
    words = " ".join(text.split())
    if words:
        before = " " if not block.collapsable_whitespace and text[0].isspace() else ""
        block.collapsable_whitespace = text[-1].isspace()
        words = f"{before}{words}{' ' if block.collapsable_whitespace else ''}"
    elif text and not block.collapsable_whitespace:
        block.collapsable_whitespace, words = True, " "
    else:
        return
    added = entities.unescape(words if block._content else block.prefix.first + words)
    block._content += added
    block.idx += len(added)


def _inside(element: Any, root: Any, quotes: list[Any]) -> bool:
    """Tell whether `element` lies in the last quote found (document order makes that the only candidate)."""
    if not quotes:
        return False
    last = quotes[-1]
    parent = element.getparent()
    while parent is not None and parent is not root:
        if parent is last:
            return True
        parent = parent.getparent()
    return False


def _is_quote(element: Any) -> bool:
    if element.tag != "blockquote":
        # A container counts when its client drew no blockquote in it, and it is no forward, whose words are for us.
        return (
            bool(_classes(element) & _CONTAINERS)
            and next(element.iter("blockquote"), None) is None
            and not _is_forward(element)
            and not any(_classes(ancestor) & _CONTAINERS for ancestor in element.iterancestors())
        )
    # Gmail and Outlook indent with a bare blockquote without a border; a quote has a type, a class or a line beside it.
    marked = element.get("type") == "cite" or element.get("cite") or element.get("class")
    return bool(marked) or not _INDENT.search(element.get("style", ""))


def _is_forward(element: Any) -> bool:
    opening = " ".join(element.text_content()[:400].split())
    return opening.startswith("-----") or _LABELLED.match(opening) is not None


def _classes(element: Any) -> frozenset[str]:
    return frozenset(_PREFIX.sub("", name) for name in element.get("class", "").lower().split())


def _mark_headers_and_signatures(root: Any) -> None:
    """Write the line that plain mails carry above an answer's header block and above a signature."""
    for element in list(root.iter("div", "span", "pre", "table")):
        name = element.get("id", "").lower().removeprefix("x_")
        if name in _HEADER_BLOCK_IDS or (_RULE_ABOVE.search(element.get("style", "")) and _LABELLED.match(element.text_content()[:60])):
            _line_before(element, DIVIDER)
        elif _classes(element) & _SIGNATURE_CLASSES and _closes(element):
            _line_before(element, "-- ")


def _closes(signature: Any) -> bool:
    """Tell whether nothing but quotes follows the signature, and no line of dashes stands at its beginning yet."""
    text = signature.text_content().strip()
    before = signature.getprevious()
    if not text or text.startswith("--") or (before is not None and "--" in before.text_content()[-5:]):
        return False
    element = signature
    while element is not None and element.tag != "body":
        if (element.tail or "").strip():
            return False
        following = element.getnext()
        while following is not None:
            if following.tag == "blockquote" or _classes(following) & _CONTAINERS or following.get("id", "").lower() in _HEADER_BLOCK_IDS:
                return True
            if following.tag != "hr" and following.text_content().strip():
                return False
            if (following.tail or "").strip():
                return False
            following = following.getnext()
        element = element.getparent()
    return True


def _line_before(element: Any, text: str) -> None:
    line = element.makeelement("div")
    line.text = text
    element.addprevious(line)


def _write_out_links(root: Any) -> None:
    """Write a link's target behind its words where the words do not show it: the text is all that readers get."""
    for link in root.iter("a"):
        target = " ".join((link.get("href") or "").split())
        if not target.lower().startswith(("http://", "https://", "mailto:")) or len(target) > LINK_CHARS:
            continue
        shown = "".join(link.text_content().split())
        address = target.partition(":")[2].partition("?")[0].strip("/") if target.lower().startswith("mailto:") else target
        bare = address.partition("://")[2].rstrip("/") if "://" in address else address
        if shown and bare and bare.lower() not in shown.lower() and shown.rstrip("/").lower() not in (bare.lower(), f"www.{bare.lower()}"):
            tail = link.makeelement("span")
            tail.text = f" <{address}>"
            link.append(tail)


def _name_pictures(root: Any) -> None:
    """Write "[cid:…]" where a picture of the mail stands, so that its place is kept and can be drawn again."""
    for picture in list(root.iter("img")):
        source = (picture.get("src") or "").strip()
        if source.lower().startswith("cid:") and len(source) <= CONTENT_ID_CHARS:
            name = picture.makeelement("span")
            name.text = f"[cid:{source[4:]}]"
            picture.addprevious(name)
