"""Fill a team's template in a process of its own: reads a request as JSON, writes the answer as JSON.

Run as a program, with nothing in its environment, by `mlbutler.report.layout`; a template that never ends, or would
fill the memory, then costs the comment its form and nothing else.
"""

from __future__ import annotations

import json
import resource
import sys

_MEMORY = 1 << 30
"""Bytes that a template may use."""
_LONGEST = 16_000_000
"""Characters, far more than a comment may have."""


def _fill_template(template: str, pieces: dict[str, object]) -> dict[str, str]:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        text = environment.from_string(template).render(pieces).strip()
    except (TemplateError, SecurityError) as error:
        return {"problem": error.message or type(error).__name__}
    except (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    return {"text": text} if len(text) <= _LONGEST else {"problem": f"its text has {len(text):,} characters"}


def main() -> None:
    """Answer the one request on standard input."""
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    json.dump(_fill_template(request["template"], request["pieces"]), sys.stdout)


if __name__ == "__main__":
    main()
