"""What is secret, and that it is hidden."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlbutler.live_lines import LiveLines
from mlbutler.secrets import (
    HIDDEN,
    LineRedactor,
    Redactor,
    is_secret_name,
    secret_values,
    without_credentials,
    without_userinfo,
)


@pytest.mark.parametrize(
    "name",
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "MLBUTLER_REMOTE_PASSWORD", "DAGSHUB_USER_TOKEN",
     "npm_auth_token", "DB_PASSWD", "MY_API_KEY", "GIT_ASKPASS", "AZURE_STORAGE_SAS", "SSH_AUTH_SOCK",
     "MLBUTLER_SIGNING_KEY", "DEPLOY_KEY"],
)  # fmt: skip
def test_names_that_hold_credentials(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("key = 'ghp_" + "a1B2" * 10 + "'", True),
        ("-----BEGIN RSA PRIVATE KEY-----", True),
        ("https://ada:hunter2@example.org/x.git", True),
        ("the value known-value-1 of a variable", True),
        ("password = ask()", False),
        ("password = 'in a test, any text'", False),
        ("https://example.org/x.git", False),
        ("", False),
    ],
)
def test_a_credential_is_found_where_there_is_no_doubt(text: str, found: bool) -> None:
    assert Redactor(["known-value-1"]).finds(text) is found


@pytest.mark.parametrize("name", ["PATH", "HOME", "CUDA_VISIBLE_DEVICES", "AWS_DEFAULT_REGION", "BRANCH_NAME", "LANG"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


def test_a_stage_s_environment_holds_no_credential_under_any_name() -> None:
    environ = {
        "PATH": "/bin",
        "DEPLOY_TOKEN": "s3cr3t-value",
        "HARMLESS": "prefix s3cr3t-value suffix",
        "PROXY": "http://user:pw@proxy:3128",
        "KEPT_TOKEN": "wanted by the stage",
    }
    secrets = secret_values({"DEPLOY_TOKEN": "s3cr3t-value"})
    assert without_credentials(environ, secrets, keep=["KEPT_TOKEN"]) == {
        "PATH": "/bin",
        "KEPT_TOKEN": "wanted by the stage",
    }


_LETTERS = st.text(alphabet="ABC123/+=%&é", min_size=6)


@given(_LETTERS, _LETTERS, _LETTERS)
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    hidden = Redactor([secret]).hide(f"{before}|{secret}|{after}")
    assert secret not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "text",
    [
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "glpat-" + "b" * 20,
        "hf_" + "c" * 34,
        "https://ada:hunter2@host/x.git",
    ],
)
def test_what_looks_like_a_credential_is_hidden_although_nobody_named_it(text: str) -> None:
    assert HIDDEN in Redactor(()).hide(f"see {text} there")
    assert "hunter2" not in Redactor(()).hide(text)


@pytest.mark.parametrize(("text", "secret"), [
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalr"),
    ("db password=hunterhunter and more", "hunterhunter"),
    ("password: hunter2hunter2", "hunter2"),
    ('{"api_key": "0123456789abcdef"}', "0123456789abcdef"),
    ("export HF_TOKEN=abcdefghijklmnopqrstuvwxyz", "abcdefghijkl"),
    ("Authorization: Bearer abc.def.ghi123456789", "ghi123456789"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3", "dozjgNryP4J3"),
    ('"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\nabc=\\n-----END PRIVATE KEY-----\\n"', "MIIEvQ"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKC\n-----END RSA PRIVATE KEY-----", "MIIEowIBAAKC"),
])  # fmt: skip
def test_what_stands_after_a_credential_s_name_is_hidden(text: str, secret: str) -> None:
    hidden = Redactor(()).hide(text)
    assert HIDDEN in hidden
    assert secret not in hidden
    assert Redactor(()).hide(hidden) == hidden


@pytest.mark.parametrize("text", [
    "Basic dXNlcjpodW50ZXIy", "'authorization': 'basic dXNlcjpodW50ZXIy'",
    "Proxy-Authorization: Basic dXNlcjpodW50ZXIy=",
    "?auth=Basic%20dXNlcjpodW50ZXIy", "Basic+dXNlcjpodW50ZXIy%3D%3D", '{"h": "Basic\\u0020dXNlcjpodW50ZXIy"}',
    "BASIC dXNlcjpodW50ZXIy.", "(Basic dXNlcjpodW50ZXIy)",
])  # fmt: skip
def test_a_user_and_a_password_as_http_writes_them_are_hidden_anywhere(text: str) -> None:
    hidden = Redactor(()).hide(text)
    assert "dXNlcjpodW50ZXIy" not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize("text", [
    "Basic training begins", "visual basic programming", "a basic question: what", "Basic 12345678", "basic  usage",
])  # fmt: skip
def test_the_word_basic_alone_hides_nothing(text: str) -> None:
    assert Redactor(()).hide(text) == text


_TOKENS = [
    "ASIA" + "A1B2C3D4E5F6G7H8", "AIza" + "Sy0aB_cD-" * 3 + "12345678", "ATATT3x" + "aB3-_" * 6, "ya29." + "aB3-_" * 6,
    "GOCSPX-" + "aB3-_" * 5, "SG." + "a1B2c3D4e5F6g7H8i9J0kL" + "." + "a1B2c3D4e5" * 4 + "abc", "glrt-" + "aB3_" * 6,
    "glcbt-64_" + "aB3_" * 6, "gldt-" + "aB3_" * 6, "xapp-1-A012-345-" + "abcdef0123" * 4, "xoxe-" + "1-abc" * 4,
    "hvs." + "aB3_" * 10, "sk-ant-api03-" + "aB3_" * 12, "sk_live_" + "aB3d" * 6, "rk_test_" + "aB3d" * 6,
    "npm_" + "aB3d" * 9, "pypi-AgEIcHlwaS5vcmc" + "aB3_" * 12, "dckr_pat_" + "aB3_" * 6, "dop_v1_" + "0a1b" * 16,
    "dapi" + "0a1b" * 8, "glsa_" + "aB3d" * 8 + "_0a1b2c3d", "AGE-SECRET-KEY-1" + "QPZRY9X8" * 7, "r8_" + "aB3d" * 9,
    "whsec_" + "aB3d" * 8, "wandb_v1_" + "aB3d" * 9, "gsk_" + "aB3d" * 10, "api_org_" + "aB3d" * 9,
]  # fmt: skip


@pytest.mark.parametrize("token", _TOKENS, ids=lambda token: token[:9])
@pytest.mark.parametrize("around", ["{}", "got {} there", 'TOKEN="{}"', "url?x={}&y", "\u0022{}\u0022", "{},{}"])
def test_tokens_with_a_prefix_that_their_maker_documents_are_hidden(token: str, around: str) -> None:
    hidden = Redactor(()).hide(around.format(token, token))
    assert token[-12:] not in hidden
    assert HIDDEN in hidden


def test_what_signs_an_address_is_hidden_and_the_rest_of_it_stays() -> None:
    url = "https://a.blob.core.windows.net/c/o?sv=2024&sig=aB3%2FdE%3D12345&se=1 and ?X-Amz-Signature=0123456789abcdef"
    said = "https://a.blob.core.windows.net/c/o?sv=2024&sig=[hidden]&se=1 and ?X-Amz-Signature=[hidden]"
    assert Redactor(()).hide(url) == said


_ENDS = "\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_VALUES = st.text(st.characters(codec="utf-8", exclude_characters=_ENDS), min_size=6).filter(
    lambda value: len(value.strip()) > 5
)


def _small(quoted: str) -> str:
    return re.sub("%..", lambda match: match[0].lower(), quoted)


def _for_html(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in "<>&'" else c for c in json.dumps(text, ensure_ascii=False)[1:-1])


_FORMS: dict[str, Callable[[str], str]] = {
    "percent": lambda v: quote(v, safe=""),
    "percent in small letters": lambda v: _small(quote(v, safe="")),
    "form": quote_plus,
    "json": lambda v: json.dumps(v)[1:-1],
    "json in utf-8": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "json with slashes": lambda v: json.dumps(v)[1:-1].replace("/", "\\/"),
    "json in json": lambda v: json.dumps(json.dumps(v))[3:-3],
    "html": html.escape,
}


@pytest.mark.parametrize("form", _FORMS)
@given(value=_VALUES)
@example(value="0000\\\\")
@settings(deadline=None)
def test_a_known_value_is_hidden_however_it_is_escaped(form: str, value: str) -> None:
    text = _FORMS[form](value)
    hidden = Redactor([value]).hide(f"<{text}>")
    assert hidden == f"<{HIDDEN}>"


def test_a_known_value_is_hidden_in_json_that_is_made_for_a_page() -> None:
    value = "a<b>&'c\"d"
    assert Redactor([value]).hide(f"[{_for_html('<x')}{_for_html(value)}]") == f"[\\u003cx{HIDDEN}]"


@given(st.text(min_size=8), st.text(max_size=12), st.text(max_size=12))
@settings(deadline=None)
def test_a_known_value_is_hidden_in_base64_whatever_stands_before_and_behind_it(
    value: str, before: str, after: str
) -> None:
    data = f"{before}{value}{after}".encode()
    for coded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        assert Redactor([value]).hide(f"x: {coded}.") == f"x: {HIDDEN}."


@pytest.mark.parametrize("text", [
    "pad_token=<|endoftext|>", "eos_token: '<|im_end|>'", "max_new_tokens=4096, tokens: 123456789", "token 12345678",
    "could not read Password: terminal prompts disabled", "password=$DB_PASSWORD", "password: required",
    "Set MLBUTLER_REMOTE_ORIGIN_USER and MLBUTLER_REMOTE_ORIGIN_PASSWORD.", "secret santa: 12 of 13 files",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "key=0123456789abcdef",
    "epoch: 10 loss=0.1234567890", "loss_per_token: 0.6931471805599453, step 2",
    '{"nll_per_token": 1.234567890123456e-05}', "bits_per_token=-1.0986122886681098.",
])  # fmt: skip
def test_words_that_only_sound_like_it_stay(text: str) -> None:
    assert Redactor(()).hide(text) == text


@pytest.mark.parametrize("piece", [
    "password:", "eyJ-", "eyJabcdefghij.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "a.", "http://a:", "x_token=",
    "secret ", "Bearer ", "AKIA", "Basic ", "basic", "?sig=", "SG.", "glpat-", "dapi", "s3cret-val", "\\", "\\u0026",
])  # fmt: skip
@pytest.mark.parametrize("end", ["", "://", "-----END"])
def test_a_long_line_that_never_becomes_a_secret_takes_no_time(piece: str, end: str) -> None:
    """A stage can print any: the build must not wait for it."""

    def seconds(length: int) -> float:
        line = piece * (length // len(piece)) + end
        began = time.process_time()
        LineRedactor(Redactor(['s3cret-value&\\\\\\\\"x', "\\" * 30 + "secret", "ssssss"])).hide(line)
        return time.process_time() - began

    def least(length: int) -> float:
        return min(seconds(length) for _ in range(3))

    # Not the square of the length counts; on a slow machine a short line takes long too.
    assert seconds(64_000) < 0.2 or least(64_000) < 40 * least(4_000)


_NAMES = ["password=", '"api_key": "', "x_token: ", "Bearer ", "-----BEGIN PRIVATE KEY-----\n"]


@given(st.text(), st.sampled_from(_NAMES))
def test_json_that_holds_a_secret_stays_json(text: str, name: str) -> None:
    said = json.dumps({"line": f"{text}{name}{text}0123456789abcdef{text}"})
    assert isinstance(json.loads(Redactor(()).hide(said))["line"], str)


def test_a_private_key_is_hidden_line_by_line_and_what_comes_after_it_is_not() -> None:
    lines = ["loading", "-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "", "MIIEowIBAAKCAQEA0Z3V",
             "ab==", "-----END RSA PRIVATE KEY-----", "epoch", "MIIEowIBAAKCAQEA0Z3V"]  # fmt: skip
    hide = LineRedactor(Redactor(())).hide
    assert [hide(line) for line in lines] == ["loading", *[HIDDEN] * 6, "epoch", "MIIEowIBAAKCAQEA0Z3V"]
    assert [hide(line) for line in (lines[1], "no key after all", "MIIE")] == [HIDDEN, "no key after all", "MIIE"]


def test_a_quoted_secret_is_hidden_too() -> None:
    assert "p%40ss%2Fword" not in Redactor(["p@ss/word"]).hide("GET /?t=p%40ss%2Fword")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:pw@host:8443/x.git", "https://host:8443/x.git"),
        ("git@host:owner/x.git", "git@host:owner/x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
    ],
)
def test_a_url_loses_its_user_information(url: str, clean: str) -> None:
    assert without_userinfo(url) == clean


def test_a_value_that_is_split_over_lines_is_hidden_in_both() -> None:
    hide = LineRedactor(Redactor(["correct-horse-battery"])).hide
    assert [hide(line) for line in ("a correct-hor", "  se-battery b", "se-battery")] == [
        f"a {HIDDEN}", f"{HIDDEN} b", "se-battery",
    ]  # fmt: skip
    assert [hide(line) for line in ("correct-", "horse-", "battery")] == [HIDDEN, HIDDEN, "battery"]


def test_the_lines_of_a_value_of_several_are_hidden_one_by_one() -> None:
    value = '{\n  "key": "9f8e7d6c5b4a",\n}'
    hide = LineRedactor(Redactor([value])).hide
    assert [hide(line) for line in value.split("\n")] == ["{", HIDDEN, "}"]


@given(st.integers(1, 40), st.lists(st.integers(1, 60), max_size=4))
def test_a_stream_shows_no_part_of_a_secret_however_it_is_written(unfinished: int, cuts: list[int]) -> None:
    """Written in pieces, and looked at between them, as a line that stays unfinished for long is."""
    secret = "Tr0ub4dor-and-3-more"
    said: list[str] = []
    hidden = LineRedactor(Redactor([secret]))
    lines = LiveLines(said.append, hidden.hide, hidden.hide_unfinished, pending_after=0)
    data = f"epoch {'.' * (unfinished % 7)} {secret} then\nnext {secret}\n".encode()
    place = 0
    for cut in (*cuts, len(data)):
        lines.feed(data[place : place + cut])
        lines.show_pending()
        place += cut
    lines.close()
    for text in said:
        assert not any(secret[i : i + 8] in text for i in range(len(secret) - 7)), text
