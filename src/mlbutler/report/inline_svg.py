"""A drawn chart as an element of the page: where a server forbids embedded pictures (Jenkins does), it still shows.

What a picture cannot do an element can: link, run, style the page. So only shapes and texts are let through.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

_SPACE = "{http://www.w3.org/2000/svg}"
_ELEMENTS = re.compile(
    "g|path|rect|line|polyline|polygon|circle|ellipse|text|tspan|defs|clipPath|(linear|radial)Gradient|stop"
)
_UNSEEN = ("title", "desc", "metadata")
_ATTRIBUTES = re.compile(
    "id|[cdf]?[xy]|[xy][12]|r[xy]?|d|width|height|points|offset|transform|gradient(Transform|Units)|display|visibility"
    "|opacity|clip-(path|rule)|fill(-opacity|-rule)?|stop-(color|opacity)"
    "|stroke(-dasharray|-dashoffset|-linecap|-linejoin|-miterlimit|-opacity|-width)?"
    "|text-anchor|dominant-baseline|font-(family|size|style|weight)"
)
_OWN_PART = re.compile(r"url\(\s*['\"]?#([\w.-]+)['\"]?\s*\)")
_LARGEST = 2_000_000
"""Characters of the largest drawing that becomes an element."""


def element(drawing: str, label: str, prefix: str) -> str:
    """Return the drawing as an ``<svg>`` element of shapes and texts alone, '' when there is more to it.

    Args:
        label: what it shows, for those who cannot see it. prefix: goes before the names of its parts, which are
            those of the whole page; letters, digits and hyphens.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if not drawing or len(drawing) > _LARGEST:
        return ""
    try:
        root = fromstring(drawing)
    except (ParseError, DefusedXmlException, ValueError):
        return ""
    if root.tag != f"{_SPACE}svg":
        return ""
    size = {name: root.get(name, "") for name in ("width", "height", "viewBox")}
    found = {name: value for name, value in size.items() if re.fullmatch(r"[\d. eE+-]+", value)}
    made = Element("svg", {**found, "overflow": "visible", "class": "drawing", "role": "img", "aria-label": label})
    return tostring(made, encoding="unicode") if _copy(root, made, prefix) else ""


def _copy(source: Element, target: Element, prefix: str) -> bool:
    """Copy an element, and return whether everything visible in it was copied."""
    stack = [(source, target)]
    while stack:
        old, new = stack.pop()
        new.text = old.text
        for child in old:
            name = str(child.tag).removeprefix(_SPACE)
            if _ELEMENTS.fullmatch(name):
                stack.append((child, SubElement(new, name, _attributes(child, prefix))))
            elif name == "a":  # what it holds, and no link
                stack.append((child, SubElement(new, "g")))
            elif name not in _UNSEEN:
                return False
    return True


def _attributes(old: Element, prefix: str) -> dict[str, str]:
    found = {name: value for name, value in old.items() if _ATTRIBUTES.fullmatch(name)}
    if "id" in found:
        found["id"] = f"{prefix}-{found['id']}"
    for name, value in found.items():
        if "url" in value.lower():
            part = _OWN_PART.fullmatch(value.strip())
            found[name] = f"url(#{prefix}-{part[1]})" if part else "none"
    return found
