"""Configuration of Sphinx: the pages of docs/ as a site."""

from mlbutler import __version__
from mlbutler.pages import pages_by_topic, title

project = "mlbutler"
release = __version__
html_title = f"mlbutler {__version__}"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
extensions = ["myst_parser"]
# GitHub makes such anchors of headings; links within the pages use them.
myst_heading_anchors = 3
nitpicky = True
man_pages: list[tuple[str, str, str, list[str], int]] = [
    ("docs/steps", "mlbutler", "continuous machine learning for DVC projects", [], 1)
] + [
    (f"docs/{page.stem}", f"mlbutler-{page.stem}", title(page), [], 7)
    for page in pages_by_topic().values()
    if page.stem != "steps"
]
