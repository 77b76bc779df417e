"""The documentation names everything there is, and its commands work."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest

from mlbutler import errors, pipeline
from mlbutler.cli import cli
from mlbutler.settings import Gate, Predictions
from mlbutler.settings.reading import variables
from tests import forked_python
from tests.integration.world import World, make
from tests.shown import looks_like

ROOT = Path(__file__).parent.parent
CONSOLE = re.compile(r"```console\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
"""Commands, and what the page says right below that they print."""
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("reference", ROOT / "website" / "reference.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


REFERENCE = generator()
VERBS: dict[str, click.Command] = dict(REFERENCE.verbs(cli))


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help_with_an_example_and_every_option_is_documented(verb: str) -> None:
    command = VERBS[verb]
    assert f"mlbutler {verb}" in (command.epilog or "")
    head, section = (
        page("steps.md").partition("\n## ")[0],
        page("steps.md").split(f"\n## {verb}\n")[1].split("\n## ")[0],
    )
    for option in command.params:
        if isinstance(option, click.Option):
            common = option.name in REFERENCE.COMMON
            part, named = (head, "run") if common else (section, verb)
            assert f"`{option.opts[-1]}`" in part
            assert f"`MLBUTLER_{named}_{option.name}`".upper().replace(" ", "_").replace("-", "_") in part


@pytest.mark.parametrize(("name", "made"), [("steps.md", "with_verbs"), ("settings.md", "with_settings")])
def test_the_reference_says_what_the_program_says(name: str, made: str) -> None:
    assert getattr(REFERENCE, made)(page(name)) == page(name), "make reference"


def test_the_generator_replaces_what_is_outdated_and_keeps_what_is_written_by_hand() -> None:
    old = "# Verbs\n" + "".join(f"\n## {verb}\n\nOld.\n\nBy hand.\n\n### More\n\nToo.\n" for verb in VERBS)
    new = REFERENCE.with_verbs(old.replace("## init\n\nOld.", "## init\n\nOld.\n\n```sh\nmlbutler gone\n```"))
    assert "Old." not in new and "gone" not in new
    assert new.count("By hand.") == new.count("### More\n\nToo.") == len(VERBS)
    assert "By hand.\n\n| option |" in new and REFERENCE.with_verbs(new) == new


def test_no_documented_verb_is_missing() -> None:
    assert sorted(re.findall(r"^## (.+)$", page("steps.md"), re.MULTILINE)) == sorted(VERBS)


def test_every_setting_is_documented_with_its_variable() -> None:
    text = page("settings.md")
    for variable, section, key in variables():
        part = text.split(f"\n## [{section}]\n")[1].split("\n## ")[0]
        assert f"`{key}`" in part
        assert f"`{variable}`" in part
    gates = text.split("\n## [[gate]]\n")[1].split("\n## ")[0]
    assert all(f"`{key}`" in gates for key in Gate.__struct_fields__)
    predictions = text.split("\n## [[predictions]]\n")[1].split("\n## ")[0]
    assert all(f"`{key}`" in predictions for key in Predictions.__struct_fields__)


def test_every_exit_code_is_explained() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page("troubleshooting.md"), re.MULTILINE)} == codes
    for text in (page("steps.md").partition("\n## ")[0], cli.epilog or ""):
        assert {
            int(code) for code in re.findall(r"(?:^|[ ;:]|  )(\d+) [a-z]", text.partition("xit codes:")[2])
        } == codes


def test_the_readme_lists_every_step() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in pipeline.NAMES)


def test_every_dependency_and_every_folder_is_explained() -> None:
    text = page("architecture.md")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(d for e in extras for d in e),
    ]
    names = {re.split(r"[\[>=<]", requirement)[0].lower() for requirement in wanted} - {"mlbutler"}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
    folders = [path.parent.name for path in (ROOT / "src" / "mlbutler").glob("*/__init__.py")]
    assert [name for name in folders if f"`{name}/`" not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.fixture(scope="module")
def documented_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make(tmp_path_factory.mktemp("docs"))
    world.mirror.mkdir(exist_ok=True)
    return world


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_console_command_works_and_prints_what_the_page_says(path: Path, documented_world: World) -> None:
    own = {"MLBUTLER_FORGE_URL": documented_world.forge, "MLBUTLER_DATA_MIRROR": documented_world.mirror}
    environ = documented_world.base_environ() | {name: str(value) for name, value in own.items()}
    for commands, expected in CONSOLE.findall(path.read_text(encoding="utf-8")):
        shown = ""
        for line in commands.splitlines():
            words = shlex.split(line.removeprefix("$ "))
            assert words[0] == "mlbutler"
            done = forked_python.run(*words, cwd=documented_world.project, env=environ)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            shown += done.stdout
        lines = [line.rstrip() for line in shown.strip().splitlines()]
        assert not expected or looks_like(lines, expected.strip().splitlines()), f"{commands} prints\n{shown}"


@pytest.mark.parametrize("name", ["from-github-actions.md", "from-gitlab-ci.md"])
def test_the_pages_on_moving_show_what_init_prints_and_name_options_that_it_takes(name: str, tmp_path: Path) -> None:
    files = {
        ".dvc/config": "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://team/dvc\n",
        ".gitlab-ci.yml": "deploy: {script: [make deploy]}\n", "tests/test_train.py": "def test_train(): pass\n",
        "dvc.yaml": "stages: {train: {cmd: python train.py, deps: [train.py]}}\n", "train.py": "",
        "requirements.txt": "pandas\npytest\nruff\n", "pyproject.toml": "[tool.ruff]\n",
    }  # fmt: skip
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    for words in ("init -q -b main", "add -A", "remote add origin https://github.com/team/flowers.git"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)

    def dry_run(command: str) -> list[str]:
        done = forked_python.run(*command.split(), "--dry-run", cwd=tmp_path, env=dict(os.environ))
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return [line.rstrip() for line in done.stdout.strip().splitlines()]

    (expected,) = re.findall(r"```text\n(.*?)```", page(name), re.DOTALL)
    commands = list(dict.fromkeys(re.findall(r"^ *(mlbutler init.*)$", page(name), re.MULTILINE)))
    assert len(commands) == 3
    shown = dry_run(commands[0])
    assert looks_like(shown, expected.splitlines()), "\n".join(shown)
    for command in commands[1:]:
        assert dry_run(command)[-1] == "Nothing was written."


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_line_of_python_works(path: Path, documented_world: World, tmp_path: Path) -> None:
    """One page is one notebook: a block goes on where the one before it ended."""
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    if not importlib.util.find_spec("pandas"):
        blocks = [block for block in blocks if "import pandas" not in block]
    if blocks:
        notebook = tmp_path / "notebook.py"
        notebook.write_text("\n".join(blocks), encoding="utf-8")
        done = forked_python.run(
            "tests.notebook", str(notebook), cwd=documented_world.project, env=documented_world.base_environ()
        )
        assert done.returncode == 0, done.stderr
