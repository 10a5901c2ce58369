"""Headless Chromium as a mail client that draws HTML: many mails on one page, measured by a script in it."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.needed import program

_MEASURE = """
const colour = text => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
function behind(view, element) {
  for (; element; element = element.parentElement) {
    const found = colour(view.getComputedStyle(element).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
}
window.onload = () => {
  const told = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const view = frame.contentWindow, page = frame.contentDocument;
    let least = 99, where = "", smallest = 99;
    const walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const text = walk.currentNode.textContent.trim(), element = walk.currentNode.parentElement;
      const style = view.getComputedStyle(element);
      if (!text || text === "\\u00a0" || !element.getClientRects().length) continue;
      const seen = contrast(colour(style.color), behind(view, element));
      if (seen < least) { least = seen; where = text.slice(0, 60); }
      smallest = Math.min(smallest, parseFloat(style.fontSize));
    }
    const cells = [...page.querySelectorAll(".card td, .card th")].filter(cell => cell.innerText.trim().length > 8);
    const narrowest = Math.min(999, ...cells.map(cell => cell.getBoundingClientRect().width).filter(wide => wide > 0));
    const hidden = Math.max(0, ...[...page.querySelectorAll("div")].map(box => box.scrollWidth - box.clientWidth));
    const root = page.scrollingElement;
    const shade = colour(view.getComputedStyle(page.body).backgroundColor);
    told[frame.name] = { over: root.scrollWidth - root.clientWidth, contrast: least, where, smallest, page: shade, narrowest, hidden };
  }
  document.getElementById("told").textContent = JSON.stringify(told);
};
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """How one mail is drawn: pixels that it is too wide, its least contrast and where, its smallest letters, its background,
    the width of its narrowest cell with more than a short word, and how much of a table is seen by scrolling alone."""

    over: int
    contrast: float
    where: str
    smallest: float
    page: list[float]
    narrowest: float
    hidden: float


def drawn(mails: Mapping[str, str], folder: Path, *, width: int, dark: bool = False, picture: Path | None = None) -> dict[str, Seen]:
    """Return how a browser of this width draws the mails (name -> HTML); `picture` keeps a PNG of them all."""
    frames = "".join(
        f'<figure style="display:inline-block;margin:6px;"><figcaption>{name}</figcaption><iframe name="{name}" width="{width}" '
        f'height="900" style="border:1px solid #999;" srcdoc="{html.escape(text, quote=True)}"></iframe></figure>'
        for name, text in mails.items()
    )
    page = folder / "page.html"
    page.write_text(f'<meta charset="utf-8"><body>{frames}<pre id="told"></pre><script>{_MEASURE}</script>', encoding="utf-8")
    columns = max(1, 1600 // width)
    command = [program("chromium", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=20000"]
    wide, tall = columns * (width + 24), -(-len(mails) // columns) * 960
    if picture:
        whole = [f"--window-size={wide},{tall}", f"--screenshot={picture}"]
        subprocess.run([*command, *whole, page.as_uri()], check=True, capture_output=True, timeout=300)
    # What is below the window is laid out all the same; a window as tall as all mails takes minutes to draw.
    measuring = [f"--window-size={wide},960", "--dump-dom"]
    dumped = subprocess.run([*command, *measuring, page.as_uri()], check=True, capture_output=True, timeout=300).stdout.decode()
    found = re.search(r'<pre id="told">(.*?)</pre>', dumped, re.DOTALL)
    told: dict[str, Any] = json.loads(html.unescape(found[1] if found else ""))
    return {name: Seen(**one) for name, one in told.items()}
