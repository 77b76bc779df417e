"""Draw Vega-Lite charts in a process of its own: reads a request as JSON, writes the answer as JSON.

Run as a program, with nothing in its environment, by `mlbutler.report.plots.vega`; a chart that is never finished, or
that takes the interpreter with it, then costs its picture and nothing else.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

SCALE = 2.0
"""Pixels of a PNG for each unit of the chart."""


def _render_chart(specification: str, *, png: bool) -> dict[str, Any]:
    import vl_convert

    try:
        chart = json.loads(specification)
        svg = vl_convert.vegalite_to_svg(chart, allowed_base_urls=[])
        if not png:
            return {"svg": svg}
        picture = vl_convert.vegalite_to_png(chart, scale=SCALE, allowed_base_urls=[])
        return {"svg": svg, "png": base64.b64encode(picture).decode("ascii")}
    except Exception as error:  # whatever the chart makes the library raise
        return {"problem": str(error).splitlines()[0][:300] if str(error) else type(error).__name__}


def main() -> None:
    """Answer the one request on standard input."""
    request = json.load(sys.stdin)
    answer: dict[str, Any] = {"charts": [_render_chart(text, png=request["png"]) for text in request["specifications"]]}
    if request["bundle"]:
        import vl_convert

        answer["bundle"] = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
