"""Drawn charts as elements of the page: shapes and texts, and nothing that acts."""

from __future__ import annotations

import pytest

from mlbutler.report.inline_svg import element

NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SVG = f'<svg {NAMES} width="10" height="20">{{}}</svg>'


def make_element(inside: str) -> str:
    return element(SVG.format(inside), "Loss & more", "plot-3")


def test_shapes_and_texts_stay() -> None:
    found = make_element('<g fill="red"><path d="M0,0h1" opacity="0.5"/><text x="1">a &lt; b</text></g>')
    assert found == (
        '<svg width="10" height="20" overflow="visible" class="drawing" role="img" aria-label="Loss &amp; more">'
        '<g fill="red">'
        '<path d="M0,0h1" opacity="0.5" /><text x="1">a &lt; b</text></g></svg>'
    )


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<image href="https://evil.example/x.png"/>',
        '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
        "<style>body { display: none }</style>",
        '<use href="#x"/>',
        '<animate attributeName="x"/>',
    ],
)
def test_what_holds_more_becomes_no_element(inside: str) -> None:
    assert make_element(f"<g>{inside}</g>") == ""


def test_links_handlers_and_styles_are_left_behind() -> None:
    found = make_element(
        '<a xlink:href="javascript:alert(1)"><rect onclick="alert(1)" style="position:fixed" class="verdict" '
        'fill="url(https://evil.example/#p)" width="3"/></a>'
    )
    assert found.endswith('<g><rect fill="none" width="3" /></g></svg>')


def test_parts_are_named_for_the_whole_page() -> None:
    found = make_element('<defs><clipPath id="c0"><rect/></clipPath></defs><g clip-path="url(#c0)"/>')
    assert 'id="plot-3-c0"' in found
    assert 'clip-path="url(#plot-3-c0)"' in found


@pytest.mark.parametrize(
    "text",
    ["", "<svg", "<html/>", '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'],
)
def test_what_is_no_drawing_becomes_no_element(text: str) -> None:
    assert element(text, "x", "p") == ""
