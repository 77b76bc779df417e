"""Lists of a bucket's objects, as S3 answers them (ListObjectsV2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

from mlbutler.store.interface import ObjectId, object_at

PAGE = 1000
"""Objects that one request lists."""
_PARTS = 16
"""Lists of so many parts of a store can be read at once."""
_COSTS = 10
"""Requests for one object that cost as much as one that lists, in time and in price."""


@dataclass(frozen=True)
class Page:
    """Objects with their sizes, and what asks for the next page, '' after the last."""

    objects: dict[ObjectId, int]
    token: str


def query(prefix: str, token: str = "") -> str:
    """Return the query that asks for a page; its parameters are in order, as a signature needs them."""
    asked = {"encoding-type": "url", "list-type": "2", "prefix": prefix}
    if token:
        asked = {"continuation-token": token} | asked
    return urlencode(asked, quote_via=quote, safe="")


def read_page(answer: bytes, prefix: str) -> Page:
    """Return what a page says of the store whose keys begin with `prefix`.

    Raises:
        ValueError: it is no such page.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        top = fromstring(answer)
    except (ParseError, DefusedXmlException, UnicodeError, LookupError) as error:
        raise ValueError("no list of objects") from error
    if _name(top) != "ListBucketResult":
        raise ValueError("no list of objects")
    said = _texts(top)
    plain = unquote_plus if said.get("EncodingType") == "url" else str
    entries = [_texts(part) for part in top if _name(part) == "Contents"]
    objects: dict[ObjectId, int] = {}
    for entry in entries:
        key, size = plain(entry.get("Key", "")), entry.get("Size", "")
        oid = object_at(key.removeprefix(prefix)) if key.startswith(prefix) else None
        if oid is not None and size.isascii() and size.isdigit() and len(size) < 20:
            objects[oid] = int(size)
    token = said.get("NextContinuationToken", "") if said.get("IsTruncated") == "true" else ""
    if said.get("IsTruncated") == "true" and not (token and entries):
        raise ValueError("a list without end")
    return Page(objects, token)


def _texts(element: Any) -> dict[str, str]:
    return {_name(part): part.text or "" for part in element}


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def list_prefixes(wanted: int, in_one_folder: int) -> list[str]:
    """Return beginnings of keys whose lists say of all objects; none where asking for each costs less.

    Names are hashes: each folder holds about as many objects.

    Args:
        wanted: objects that are asked for. in_one_folder: that one of the 256 folders holds.
    """
    in_all = in_one_folder * 256
    if wanted < _COSTS * (_PARTS + in_all // PAGE):
        return []
    return [f"files/md5/{digit:x}" for digit in range(_PARTS)]


def most_pages(wanted: int) -> int:
    """Return pages of one folder after which its store is too large for lists; 0 where asking is cheaper anyhow."""
    return wanted // (_COSTS * 256) + 1 if list_prefixes(wanted, 0) else 0
