"""The pages of the documentation, which come with the program."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "pages", _HERE.parents[1] / "docs")
"""Where a wheel has them, and where the source does."""
_FOR_MAKERS = frozenset(("architecture", "benchmarks", "benchmarks-gates"))


def pages_by_topic() -> dict[str, Path]:
    """Return each topic's page, in the order of their names; none where the program came without them."""
    folder = next((folder for folder in _FOLDERS if (folder / "getting-started.md").is_file()), None)
    pages = sorted(folder.glob("*.md")) if folder else []
    return {page.stem: page for page in pages if page.stem not in _FOR_MAKERS}


def title(page: Path) -> str:
    """Return a page's heading."""
    with page.open(encoding="utf-8") as lines:
        return next(lines).lstrip("# ").strip()
