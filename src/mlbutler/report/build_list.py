"""The verdict where a CI server lists builds: a line of text, the same with links, and a picture."""

from __future__ import annotations

import re
from html import escape

from mlbutler.escape import escape_invisible, web_address, xml
from mlbutler.record import Change, Record
from mlbutler.report.build import title
from mlbutler.report.headline import headline
from mlbutler.report.links import report_page
from mlbutler.report.model import Tone

LIMIT = 99
"""Characters that are shown: in its list of builds Jenkins cuts a description of 100 or more."""

_COLOURS = {
    Tone.GOOD: "#1a7f37",
    Tone.BAD: "#cf222e",
    Tone.WARN: "#9a6700",
    Tone.MUTED: "#57606a",
    Tone.NONE: "#0969da",
}
_LABEL, _LONGEST_LABEL, _LONGEST_VERDICT = "#444c56", 40, 60
_REFERENCE = re.compile(r"&(?=[#A-Za-z])")


def text(record: Record) -> str:
    """Return the verdict as one line that reads the same as text and as HTML, since it holds no markup."""
    said = " ".join(headline(record).plain(LIMIT).split())
    return _REFERENCE.sub("＆", said.replace("<", "‹"))


def html(record: Record) -> str:
    """Return the verdict as one line of HTML, with links to the report and the pull request.

    For a CI server that shows HTML: Jenkins with the markup formatter *Safe HTML*. Nothing of it is longer than Jenkins
    shows, since that would cut within an element.
    """
    said, links = headline(record), _links(record.change)
    after = f" ({', '.join(links)})" if links else ""
    shown = sum(len(re.sub(r"<[^>]*", "", part)) for part in (after, "</b>"))
    rest = f": {' '.join(escape_invisible(said.sentence).split())}" if said.sentence else ""
    word = escape(said.word)
    room = LIMIT - len(word) - shown - 1
    return f'<b style="color:{_COLOURS[said.tone]}">{word}</b>{_escape_to_fit(rest, room)}{after}'


def _escape_to_fit(sentence: str, room: int) -> str:
    """Return the sentence as HTML of at most `room` characters, cut between two of its own."""
    whole = escape(sentence, quote=False)
    if len(whole) <= room:
        return whole
    while sentence and len(escape(sentence, quote=False)) >= room:
        sentence = sentence[:-1]
    return f"{escape(sentence, quote=False)}…"


def _links(change: Change) -> list[str]:
    page = report_page(change) or change.build_url
    named = f"pull request {escape_invisible(change.number, 12)}" if change.number else ""
    found = (("report", page), (named, change.url))
    return [
        f'<a href="{escape(address)}">{escape(name)}</a>'
        for name, url in found
        if name and (address := web_address(url)) is not None
    ]


def badge(record: Record) -> str:
    """Return the verdict as a small SVG, for a README or a dashboard; it needs neither styles nor scripts."""
    said = headline(record)
    label, verdict = escape_invisible(title(record), _LONGEST_LABEL), " ".join(said.plain(_LONGEST_VERDICT).split())
    left, right = _width(label), _width(verdict)
    name = escape(xml(f"{label}: {verdict}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}">'
        f"<title>{name}</title>"
        f'<rect width="{left}" height="20" fill="{_LABEL}"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[said.tone]}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{_svg_text(label, 0, left)}{_svg_text(verdict, left, right)}</g></svg>\n"
    )


def _svg_text(words: str, at: int, width: int) -> str:
    # The length is given, so that any font fills the same place.
    return f'<text x="{at + 6}" y="14" textLength="{width - 12}">{escape(xml(words))}</text>'


def _width(words: str) -> int:
    return 12 + round(6.6 * len(words))
