"""Signatures and places as botocore has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.store.interface import ObjectId
from mlbutler.store.s3 import listing
from mlbutler.store.s3.place import S3Location, find_location
from mlbutler.store.s3.signing import Keys, Signer
from tests.store.buckets import KEYS

WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PRINTED = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@settings(deadline=None, max_examples=25)
@given(
    key=WORD, prefix=st.none() | WORD, token=st.just("") | PRINTED, secret=PRINTED,
    host=st.sampled_from(["http://127.0.0.1:9000", "https://bucket.s3.eu-west-1.amazonaws.com", "http://a:80"]),
    moment=st.integers(0, 4_000_000_000),
)  # fmt: skip
def test_a_signature_is_botocores(
    key: str, prefix: str | None, token: str, secret: str, host: str, moment: int
) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"{host}/{quote(key, safe='/~')}"
    url += "" if prefix is None else f"?{listing.query(prefix, 'to/ken+=')}"
    signer = Signer("eu-west-1", lambda: Keys("AKID/x", secret, token), lambda: moment)
    headers = dict(line.split(": ", 1) for line in signer.headers("GET", url))
    said = headers.pop("Authorization")
    again = AWSRequest("GET", url, headers)
    again.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials("AKID/x", secret, token or None), "s3", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert said.endswith(f", Signature={signature}")
    assert secret not in said or len(secret) < 4


def test_renewed_credentials_sign_the_next_request() -> None:
    keys = [Keys("second", "b", "token"), Keys("first", "a")]
    signer = Signer("us-east-1", lambda: keys.pop())
    first, second = signer.headers("GET", "http://a/b"), signer.headers("GET", "http://a/b")
    assert "Credential=first/" in first[-1]
    assert "Credential=second/" in second[-1]
    assert [line for line in second if line == "x-amz-security-token: token"]
    assert not [line for line in first if "security-token" in line]


# --------------------------------------------------------------------------------------- places


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def place(root: str = "bucket/some/pre fix", **config: Any) -> S3Location | None:
    return find_location(root, {**KEYS, "use_ssl": True, "host": "bucket", **config})


@pytest.mark.parametrize(("config", "url", "bucket"), [
    ({}, "https://bucket.s3.amazonaws.com/", "https://bucket.s3.amazonaws.com/"),
    ({"region": "eu-west-1"}, "https://bucket.s3.eu-west-1.amazonaws.com/", "https://bucket.s3.eu-west-1.amazonaws.com/"),
    ({"use_ssl": False}, "http://bucket.s3.amazonaws.com/", "http://bucket.s3.amazonaws.com/"),
    ({"endpointurl": "http://minio:9000"}, "http://minio:9000/bucket/", "http://minio:9000/bucket"),
    ({"endpointurl": "https://host/base"}, "https://host/base/bucket/", "https://host/base/bucket"),
])  # fmt: skip
def test_where_a_bucket_is(config: dict[str, Any], url: str, bucket: str) -> None:
    found = place(**config)
    assert found is not None
    assert (found.url, found.bucket, found.prefix) == (f"{url}some/pre%20fix", bucket, "some/pre fix/")
    assert found.region == config.get("region", "us-east-1")


def test_what_the_agents_owner_has_set_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile team]\nregion = eu-central-1\nca_bundle = /ca.pem\ns3 =\n    addressing_style = path\n"
    )
    (tmp_path / "keys").write_text(
        "[team]\naws_access_key_id = TEAM\naws_secret_access_key = b\naws_session_token = c\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    files = {"credentialpath": str(tmp_path / "keys"), "profile": "team"}
    found = find_location("bucket", files)
    assert found is not None
    assert found.url == "https://s3.eu-central-1.amazonaws.com/bucket"
    assert found.access["ssl_verify"] == "/ca.pem"
    signed = found.sign("GET", found.url)
    assert "x-amz-security-token: c" in signed
    assert "Credential=TEAM/" in signed[-1]
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))  # it counts for more, as in DVC
    assert nothing(files)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "d")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://near:9000")
    found = find_location("bucket", {"ssl_verify": False})
    assert found is not None
    assert (found.url, found.access["ssl_verify"]) == ("http://near:9000/bucket", False)
    assert "Credential=ENVIRON/" in found.sign("GET", found.url)[-1]


def test_nobody_signs_anonymous_requests() -> None:
    found = find_location("bucket", {"allow_anonymous_login": True, "endpointurl": "http://minio:9000"})
    assert found is not None
    assert found.sign("GET", found.url) == []


def nothing(config: dict[str, Any], root: str = "bucket/x") -> bool:
    try:
        return find_location(root, config) is None
    except Exception:
        return True


@pytest.mark.parametrize("config", [
    {}, {**KEYS, "sse_customer_key": "a2V5"}, {**KEYS, "not_yet_invented": "x"}, {"access_key_id": "only"},
    {**KEYS, "session_token": "two\nlines"}, {**KEYS, "profile": "absent"}, {**KEYS, "region": "no/region"},
])  # fmt: skip
def test_what_is_not_understood_is_left_to_dvcs_client(config: dict[str, Any]) -> None:
    assert nothing(config)


@pytest.mark.parametrize("root", ["bucket/a/../b", "bucket/a//b", "bucket/./a", "", "bucket/a?versionId=1"])
def test_a_path_that_clients_change_is_left_to_dvcs(root: str) -> None:
    assert nothing(KEYS, root)


def test_another_signature_or_way_is_left_to_dvcs_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    assert nothing({**KEYS, "region": "us-east-1"}, "bucket--use1-az4--x-s3/x")  # S3 Express signs with sessions
    with monkeypatch.context() as configured:
        configured.setitem(conf, "s3", {"key": "other"})
        assert nothing(KEYS)
    at_home = {**KEYS, "endpointurl": "http://minio:9000"}
    assert not nothing(at_home)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert nothing(at_home)


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=200))
def test_what_is_no_list_is_a_value_error(answer: bytes) -> None:
    with pytest.raises(ValueError, match="no list"):
        listing.read_page(answer, "p/")


def test_names_in_a_list_are_decoded_where_they_are_encoded() -> None:
    key = f"files/md5/ab/{'0' * 30}"

    def answer(name: str, encoding: str = "") -> bytes:
        entries = f"<Contents><Key>{name}</Key><Size>3</Size></Contents><Contents><Key>else</Key></Contents>"
        return f'<ListBucketResult xmlns="x">{encoding}{entries}</ListBucketResult>'.encode()

    plain = listing.read_page(answer(f"a+b {key}"), "a+b ")
    encoded = listing.read_page(answer(f"a%2Bb+{quote(key, safe='')}", "<EncodingType>url</EncodingType>"), "a+b ")
    assert plain.objects == encoded.objects == {ObjectId("ab" + "0" * 30): 3}
