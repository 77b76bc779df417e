"""Write a report as the elements of a page: `Markup` escapes whatever text is put into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from mlbutler.escape import escape_invisible, web_address
from mlbutler.numbers import count
from mlbutler.record import PlotChange
from mlbutler.report import sparkline
from mlbutler.report.model import (
    Block,
    Cell,
    CodeBlock,
    Column,
    Gallery,
    Items,
    Line,
    Paragraph,
    Picture,
    Report,
    Section,
    Span,
    Style,
    Table,
    Trends,
)
from mlbutler.report.plots.figure import DATA_URI, EmbeddedImage, Figure, Heatmap

TEXT_LIMIT = 2000
_TITLE_LIMIT = 80
_MOST_ROWS = 5000  # of a table; a browser lays out that many in a second
_UNFOLDED = ("params", "plots")  # a page has the room that a comment has not

Draw = Callable[[PlotChange], Figure]


def page(report: Report, draw: Draw, style: str, scripts: Sequence[str], policy: str, record: str) -> str:
    """Return the whole page.

    Args:
        draw: makes a figure of a plot. style: CSS. scripts: JavaScript, of our own.
        policy: what of the content security policy names the scripts. record: JSON that ends no element.
    """
    headline = report.headline
    title = Markup("%s: %s · %s") % (headline.word, _shortened(_visible(headline.sentence)), _visible(report.title))
    above = (_head(title, style, policy), _header(report), _steps(report))
    sections = (_section(section, draw) for section in report.sections)
    ends = [_script(record, ' type="application/json" id="record"'), *map(_script, scripts)]
    return str(_join([*above, *sections, Markup("</main>"), *ends, Markup("</body>\n</html>\n")], "\n"))


def _head(title: Markup, style: str, policy: str) -> Markup:
    return Markup("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
script-src %s">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<main>""") % (Markup(policy), title, Markup(style))


def _header(report: Report) -> Markup:
    headline = report.headline
    experiment = f": {_visible(report.experiment)}" if report.experiment else ""
    places = _join(Markup(" · %s") % _line(place) for place in (report.subject, *report.places))
    said = Markup('<span class="colon">:</span> %s') % _visible(headline.sentence) if headline.sentence else ""
    further = _list(_list_item(_visible(text)) for text in headline.further) if headline.further else ""
    remedy = Markup('<p class="remedy"><strong>What to do:</strong> %s</p>') % _visible(headline.remedy)
    return Markup("""\
<header class="verdict %s">
<p class="title">%s%s%s</p>
<h1><span class="word">%s</span>%s</h1>
%s%s
</header>
<p class="unstyled">Styles and pictures are kept out of this page here, as Jenkins does by default: save it and open \
it from there to see all of it. A resource root URL lets them through.</p>""") % (
        headline.tone, _visible(report.title), experiment, places, headline.word, said, further,
        remedy if headline.remedy else "",
    )  # fmt: skip


def _steps(report: Report) -> Markup:
    one = Markup('<li class="%s"><span class="name">%s</span> <span class="outcome">%s</span></li>\n')
    steps = _join(one % (tone, name, outcome) for name, outcome, tone in report.steps)
    return Markup('<nav aria-label="Steps"><ol class="steps">\n%s</ol></nav>') % steps if report.steps else Markup("")


def _section(section: Section, draw: Draw) -> Markup:
    alone = sum(isinstance(block, Table) for block in section.blocks) == 1
    content = _join((_block(block, draw, alone=alone) for block in section.blocks), "\n")
    if not section.folded:
        return Markup('<section id="%s" class="card">\n<h2>%s</h2>\n%s\n</section>') % (
            section.name, section.title, content,
        )  # fmt: skip
    unfolded = " open" if section.important or section.name in _UNFOLDED else ""
    summary = Markup(' <span class="muted">%s</span>') % _visible(section.summary) if section.summary else ""
    return Markup(
        '<details id="%s"%s>\n<summary><h2>%s</h2>%s</summary>\n<div class="inside">\n%s\n</div>\n</details>'
    ) % (section.name, unfolded, section.title, summary, content)


def _block(block: Block, draw: Draw, *, alone: bool) -> Markup:
    """Return one block. Args: alone: it is the only table of its section, which has a heading."""
    match block:
        case Paragraph():
            return Markup("<p%s>%s</p>") % (_class_attribute(block.tone), _line(block.line))
        case Items():
            return _items(block)
        case Table():
            return _table(block, alone=alone)
        case CodeBlock():
            text = "".join(f"{_visible(line)}\n" for line in block.lines)
            return Markup("%s\n<pre>%s</pre>") % (_caption(block.caption), text)
        case Gallery():
            return _gallery(block)
        case Trends():
            one = Markup("<figure><figcaption><code>%s</code></figcaption>%s</figure>\n")
            trends = _join(one % (_visible(trend.name), Markup(sparkline.draw(trend))) for trend in block.items)
            return Markup('%s\n<div class="trends">\n%s</div>') % (_caption(block.caption), trends)
        case Picture():
            return _figure(draw(block.plot))


def _items(block: Items) -> Markup:
    hidden = Markup('<li class="muted">%s not shown</li>\n') % count(block.left_out, "item") if block.left_out else ""
    return _list([*(_list_item(_line(item)) for item in block.lines), hidden])


def _table(block: Table, *, alone: bool) -> Markup:
    rows = _join(_row(row, block.columns) for row in block.rows[:_MOST_ROWS])
    more = len(block.rows) - _MOST_ROWS
    note = Markup('\n<p class="muted">%s not shown here: report.json has them all.</p>') % count(more, "row")
    return Markup("""\
<div class="scroll"><table cellpadding="4" role="table">
<caption%s>%s</caption>
<thead role="rowgroup"><tr role="row">%s</tr></thead>
<tbody role="rowgroup">
%s</tbody>
</table></div>%s""") % (
        Markup(' class="unseen"') if alone else "", _visible(block.caption), _join(map(_column, block.columns)), rows,
        note if more > 0 else "",
    )  # fmt: skip


def _column(column: Column) -> Markup:
    return Markup('<th role="columnheader" scope="col"%s>%s</th>') % (
        Markup(' class="number" align="right"') if column.numeric else Markup(' align="left"'), column.name,
    )  # fmt: skip


def _row(row: Sequence[Cell], columns: Sequence[Column]) -> Markup:
    first = Markup('<th role="rowheader" scope="row" align="left"%s>%s</th>')
    named = (first % (_class_attribute(cell.tone), _line(cell.line)) for cell in row[:1])
    others = (_cell(cell, column) for cell, column in zip(row[1:], columns[1:], strict=False))
    return Markup('<tr role="row">%s</tr>\n') % _join([*named, *others])


def _cell(cell: Cell, column: Column) -> Markup:
    toned = Markup(' class="number %s" align="right"') % cell.tone if column.numeric else _class_attribute(cell.tone)
    return Markup('<td role="cell" data-column="%s"%s>%s</td>') % (column.name, toned, _line(cell.line))


def _gallery(block: Gallery) -> Markup:
    one = Markup('<figure><img src="%s" alt="%s"><figcaption>%s</figcaption></figure>\n')
    shown = [(source, _visible(text)) for source, text in block.pictures if DATA_URI.fullmatch(source)]
    pictures = _join(one % (source, text, text) for source, text in shown)
    return Markup('%s\n<div class="gallery">\n%s</div>') % (_caption(block.caption), pictures)


def _figure(figure: Figure) -> Markup:
    title = _visible(figure.title)
    same = " (not known whether it changed)" if figure.changed is None else " (same on both sides)"
    note = Markup('<span class="muted">: %s</span>') % _visible(figure.note) if figure.note else ""
    drawn = Markup('<div class="drawn">%s</div>')
    picture = Markup('<img src="%s" alt="%s: target and this change in one chart">') % (figure.source, title)
    explore = Markup('<button type="button" class="explore" hidden>Explore</button>\n%s')
    pair = Markup('<div class="pair">%s</div>')
    parts = (
        figure.chart and Markup('<div class="wide">%s</div>') % figure.chart,
        figure.narrow and Markup('<div class="narrow" hidden>%s</div>') % figure.narrow,
        figure.drawing and drawn % figure.drawing,
        figure.source and drawn % picture,
        figure.specification and explore % _script(figure.specification, ' type="application/json"'),
        figure.heatmaps and pair % _join(map(_heatmap, figure.heatmaps)),
        figure.images and pair % _join(_image(image, title) for image in figure.images),
        figure.problem and Markup('<p class="missing">%s</p>') % _visible(figure.problem),
    )
    return Markup("<figure>\n<figcaption><strong>%s</strong>%s%s</figcaption>\n%s\n</figure>") % (
        title, "" if figure.changed else same, note, _join((part for part in parts if part), "\n"),
    )  # fmt: skip


def _heatmap(side: Heatmap) -> Markup:
    one = Markup('<td class="heat-%s" align="center">%s</td>')
    row = Markup('<tr><th scope="row">%s</th>%s</tr>\n')
    columns = _join(Markup('<th scope="col">%s</th>') % _visible(column) for column in side.columns)
    rows = _join(
        row % (_visible(label), _join(one % (level, _strong(text) if right else text) for text, level, right in cells))
        for label, cells in side.rows
    )
    return Markup("""\
<div class="scroll"><table class="heat" border="1" cellpadding="4" cellspacing="0">
<caption>%s: %s on the diagonal. %sShading: share of the row.</caption>
<thead><tr><td></td>%s</tr></thead>
<tbody>
%s</tbody>
</table></div>""") % (side.side, side.share, _visible(side.axes), columns, rows)


def _image(image: EmbeddedImage, title: str) -> Markup:
    shown = Markup('<img src="%s" alt="%s, %s">') % (image.source, title, image.side)
    missing = Markup('<p class="missing">%s</p>') % _visible(image.problem)
    return Markup('<div><p class="side">%s</p>%s</div>') % (image.side, shown if image.source else missing)


def _line(spans: Line) -> Markup:
    return _join(map(_span, spans))


def _span(span: Span) -> Markup:
    text = _visible(span.text)
    match span.style:
        case Style.STRONG:
            return _strong(text)
        case Style.CODE:
            return _anchor(Markup("<code>%s</code>") % text, span.href)
        case Style.LINK:
            return _anchor(Markup.escape(text), span.href)
        case Style.PLAIN:
            return Markup.escape(text)


def _anchor(text: Markup, href: str) -> Markup:
    address = web_address(href) if href else None
    return Markup('<a href="%s" rel="noreferrer noopener">%s</a>') % (address, text) if address else text


def _strong(text: str) -> Markup:
    return Markup("<strong>%s</strong>") % text


def _class_attribute(tone: str) -> Markup:
    return Markup(' class="%s"') % tone if tone else Markup("")


def _caption(text: str) -> Markup:
    return Markup('<p class="caption">%s</p>') % _visible(text)


def _list(items: Iterable[Markup | str]) -> Markup:
    return Markup("<ul>\n%s</ul>") % _join(items)


def _list_item(text: str) -> Markup:
    return Markup("<li>%s</li>\n") % text


def _script(content: str, attributes: str = "") -> Markup:
    """Return a script whose content is ours, or JSON that ends no element."""
    return Markup("<script%s>%s</script>") % (Markup(attributes), Markup(content))


def _join(parts: Iterable[Markup | str], between: str = "") -> Markup:
    return Markup(between).join(parts)


def _visible(text: str) -> str:
    return escape_invisible(str(text), TEXT_LIMIT)


def _shortened(text: str) -> str:
    return text if len(text) <= _TITLE_LIMIT else f"{text[:_TITLE_LIMIT].rpartition(' ')[0]}..."
