"""Code and documentation use plain modern English and the field's own words."""

from __future__ import annotations

import ast
import builtins
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BANNED = {
    r"mend|mends|mended|mending": "fix",
    r"(?<!--)anew(?!:)": "again, new",
    r"heed|heeds|heeded|heeding": "follow, obey",
    r"whoever|whomever": "the reader, the user, anybody who",
    r"wherein": "in which",
    r"(?<!\")lacked": "missing",
    r"vouch|vouches|vouched": "confirm, trust",
    r"(?:is|are|was|were|be|been|being|not|just|only|has|have) told(?! apart)": "is notified, is reported, is shown",
    r"told of": "notified of, asked about",
    r"nobody here|nobody knows": "no one known, not known",
    r"left out on the command line": "skipped by --skip",
    r"for ever": "forever",
    r"at hand": "available here",
    r"(?:held|holds?|holding) (?:it |them |one )?against": "check against, compare with",
    r"data bases?": "database",
    r"in vain": "without success",
    r"its likes": "similar ones",
    r"shall": "is to, must",
    r"tells? (?:the forge|what forge)": "publish to, determine which",
    r"(?:stands?|stood) still": "is stalled, waits",
    r"nothing is to be run": "nothing to run",
    r"cannot be(?=\.|$)": "is not allowed",
}
SEARCHED = (
    "src", "bench", "tests", "website", ".ci", "docs", "jenkins-library", "Makefile", "pyproject.toml",
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ":!tests/test_words.py",
    ":!src/mlbutler/report/board/vendor",
)  # fmt: skip
# Classes of others that docstrings name.
_OTHERS = {"Annotated", "CurlMulti", "DvcIgnorePatterns", "Markup", "Repo"}
# `Name`, `Name.member`: single backticks are for names in Python, double ones for all else. Variables are in capitals.
_NAMED = re.compile(r"(?<!`)`([A-Z]\w*[a-z]\w*)(?:\.\w+)*`(?!`)")
# How a docstring begins that says what something is, and not what calling it does.
_NO_IMPERATIVE = re.compile(
    r"[^A-Z]|(?:A|All|An|Any|As|Both|Each|Every|Everything|For|How|If|In|Is|It|Its|No|Not|Nothing|Of|On|One|Only|So|"
    r"Some|That|The|These|This|Those|To|What|When|Where|Whether|Which|Who|Whose|Why|With)\b|"
    r"(?!(?:Address|Discuss|Dismiss|Express|Focus|Guess|Pass|Press|Process)\b)\w+s\b|Know\b"
)

# A name that says what was done, not what is done; Python's own `sorted` is the model for the exceptions below.
_PARTICIPLE = re.compile(
    r"[a-z]+ed|shown|kept|told|left|taken|given|said|gone|known|sent|brought|made|held|found|seen|written|drawn|done|begun|"
    r"chosen|meant|lost|led|built|bound"
)
# What returns the same kind of thing that it was given; and verbs.
_MAY_BE_CALLED = {
    "decoded", "encoded", "escaped", "grouped", "preformatted", "quoted", "redacted", "rounded", "shortened", "thinned",
    "feed", "need", "proceed",
}  # fmt: skip


def words_in(name: str) -> str:
    """Return a file's text; of a program in Python its strings and comments."""
    text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
    if not name.endswith(".py") or not find_banned(text):  # to take a program apart takes long
        return text
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    return "\n".join(
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type in kinds
    )


def find_banned(text: str) -> list[str]:
    """Return what is to be replaced, each with the words to use; sentences may go over several lines."""
    text = re.sub(r"`[^`\n]*`", "", text)
    text = re.sub(r"\s*\n[\s#/*]*", " ", text)
    return [
        f"{found[0]} (rather: {better})"
        for words, better in BANNED.items()
        for found in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE)
    ]


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "--", *SEARCHED], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mend it.", ["Mend"]),
        ("the user\n    # is\n    # told so", ["is told"]),
        ("when it has been\n    told", ["been told"]),
        ("waits for\n    ever, and has it at\n    # hand", ["for ever", "at hand"]),
        ("it is held\nagainst that, and holds them against this", ["held against", "holds them against"]),
        ("amend, `lacked`, foretold, --anew, for every one, on the other hand", []),
    ],
)
def test_a_banned_word_is_found_across_lines_and_outside_of_names(text: str, found: list[str]) -> None:
    assert [item.partition(" (")[0] for item in find_banned(text)] == found


def test_no_banned_word_is_used() -> None:
    texts = {name: words_in(name) for name in files()}
    assert len(texts) > 100
    assert {name: words for name, text in texts.items() if (words := find_banned(text))} == {}


def descriptive(tree: ast.Module) -> Iterator[str]:
    """Yield functions, properties too, whose docstring does not begin with an imperative, with its first line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node)
            if said and _NO_IMPERATIVE.match(said):
                yield f"{node.name}: {said.splitlines()[0]}"


def test_a_docstring_that_only_describes_is_found() -> None:
    source = """
class Box:
    @property
    def size(self):
        '''The size of it.'''

    def is_full(self):
        '''Whether it is.'''

    def opens(self):
        '''Opens it.'''

    def take(self):
        '''Pass it on.'''
"""
    assert [line.partition(":")[0] for line in descriptive(ast.parse(source))] == ["size", "is_full", "opens"]


def test_each_function_s_docstring_begins_with_an_imperative() -> None:
    assert {name: lines for name, tree in trees().items() if (lines := list(descriptive(tree)))} == {}


def lone_participles(tree: ast.Module) -> Iterator[str]:
    """Yield functions named by a participle alone, such as ``_named``, which means another thing in each module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
            name = node.name.lstrip("_")
            if _PARTICIPLE.fullmatch(name) and name not in _MAY_BE_CALLED and not is_property:
                yield node.name


def test_a_function_that_is_called_a_participle_is_found() -> None:
    source = """
def _named(): ...
def told(): ...
def quoted(): ...
def tracked_paths(): ...
def feed(): ...
class Run:
    @property
    def ended(self): ...
    def asked(self): ...
"""
    assert list(lone_participles(ast.parse(source))) == ["_named", "told", "asked"]


def test_a_function_is_called_what_it_does() -> None:
    assert {name: wrong for name, tree in trees().items() if (wrong := list(lone_participles(tree)))} == {}


def trees() -> dict[str, ast.Module]:
    names = [name for name in files() if name.endswith(".py") and not name.startswith("tests/")]
    assert len(names) > 300
    return {
        name: ast.parse((ROOT / name).read_text(encoding="utf-8")) for name in names if "/demo/template/" not in name
    }


def defined_names(tree: ast.Module) -> Iterator[str]:
    """Yield classes, and names of types that are assigned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def named_classes(tree: ast.Module) -> Iterator[str]:
    """Yield the classes that docstrings name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (found[1] for found in _NAMED.finditer(ast.get_docstring(node, clean=False) or ""))


def test_a_class_that_a_docstring_names_is_found() -> None:
    tree = ast.parse("class Box:\n    '''A `Crate.open` for `SET_SIZE`, ``Not``, `lid`, `Kind`.'''\nKind = int | str")
    assert (list(named_classes(tree)), sorted(defined_names(tree))) == (["Crate", "Kind"], ["Box", "Kind"])


def test_each_class_that_a_docstring_names_exists() -> None:
    parsed = trees()
    known = {name for tree in parsed.values() for name in defined_names(tree)} | set(dir(builtins)) | _OTHERS
    assert {name: wrong for name, tree in parsed.items() if (wrong := set(named_classes(tree)) - known)} == {}
