from __future__ import annotations

import pytest

from mlbutler.scaffold.base_image import is_base, read_base, starting_from
from mlbutler.scaffold.detected import ContainerImage

PYTHON = ContainerImage("python", "python:3.10-slim-bookworm", system=("python3",))


@pytest.mark.parametrize(("text", "base"), [
    ("FROM python:3.8\nRUN id\n", "python:3.8"),
    ("# a comment\nfrom --platform=linux/amd64 python:3.8 as x # y\nFROM ubuntu:22.04\nFROM X\n", "python:3.8"),
    ("ARG A=b\nFROM ${A}\n", ""), ("FROM alpine:3\n", ""), ("FROM scratch\n", ""), ("", ""), ("FROM `id`\n", ""),
])  # fmt: skip
def test_what_a_dockerfile_starts_from(text: str, base: str) -> None:
    assert read_base(text) == base


@pytest.mark.parametrize(("name", "fits"), [
    ("python:3.9-alpine", True), ("tensorflow/tensorflow:2.15.0-gpu", True),
    ("registry.example.org:5000/a/b@sha256:0", True),
    ("alpine", False), ("fedora:40", False), ("gcr.io/distroless/python3", False), ("x; rm", False), ("", False),
])  # fmt: skip
def test_images_that_may_have_apt(name: str, fits: bool) -> None:
    assert is_base(name) is fits


@pytest.mark.parametrize(("name", "base", "python"), [
    ("python:3.8", "python:3.8", "uv venv"), ("python:3.12-bookworm", "python:3.12-bookworm", "python -m venv"),
    ("python:3.9-alpine", "python:3.9-slim-bookworm", "uv venv"), ("team/base:1", "team/base:1", "uv venv"),
])  # fmt: skip
def test_mlbutler_has_a_python_of_its_own_where_the_images_is_too_old(name: str, base: str, python: str) -> None:
    found = starting_from(PYTHON, name)
    assert found is not None
    assert found.base == base
    assert found.python.startswith(python)


def test_an_image_without_python_is_given_the_projects() -> None:
    found = starting_from(PYTHON, "nvidia/cuda:12.2.0-runtime-ubuntu22.04")
    assert found is not None
    assert found.before == ("uv venv --quiet --seed --python 3.10 /opt/project",)
    assert ("PATH", "/opt/project/bin:$PATH") in found.variables


@pytest.mark.parametrize(("language", "name", "fits"), [
    ("conda", "python:3.8", False), ("conda", "continuumio/miniconda3", True), ("r", "rocker/r-ver:4", True),
    ("node", "python:3.8", False), ("julia", "julia:1.9", True),
])  # fmt: skip
def test_the_projects_language_decides_what_fits(language: str, name: str, fits: bool) -> None:
    assert (starting_from(ContainerImage(language, "x"), name) is not None) is fits
