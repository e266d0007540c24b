"""Tag=value lists, the syntax of DKIM signatures and key records (RFC 6376 section 3.2)."""

from __future__ import annotations

import re

BLANKS = " \t\r\n"
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class TagListError(ValueError):
    """Not a tag list: a bad name, a missing ``=``, or a tag given twice."""


def parse_tag_list(value: bytes) -> dict[str, str]:
    """The tags in their order, names as written, blanks around values removed.

    Blanks inside a value are kept: `without_blanks` removes them where the tag's
    own grammar allows them. Octets that are no UTF-8 become U+FFFD. Raises
    `TagListError`.
    """
    parts = value.decode("utf-8", "replace").split(";")
    if not parts[-1].strip(BLANKS):
        parts.pop()
    tags: dict[str, str] = {}
    for part in parts:
        name, equals, content = part.partition("=")
        name = name.strip(BLANKS)
        if not equals or not _TAG_NAME.fullmatch(name):
            raise TagListError("syntax error in a tag")
        if name in tags:
            raise TagListError(f"tag {name}= given twice")
        tags[name] = content.strip(BLANKS)
    return tags


def without_blanks(value: str) -> str:
    """The value without folding white space anywhere, as base64 needs it."""
    return "".join(value.split())
