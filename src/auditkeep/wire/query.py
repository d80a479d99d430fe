"""Query strings as REST-JSON clients write them: percent-encoded pairs, where `+` is a plus.

Unlike HTML forms, so that a standard-base64 `nextToken` survives clients that leave `+` as it is.
"""

from urllib.parse import unquote_to_bytes

from auditkeep.errors import InvalidRequest

MOST_PAIRS = 200
"""More parameters than any operation takes, lists included."""


def pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values in the order sent; InvalidRequest when they are not UTF-8 or too many."""
    if not query:
        return []
    parts = query.split(b"&")
    if len(parts) > MOST_PAIRS:
        raise InvalidRequest(
            f"The query string has more than {MOST_PAIRS} parameters.", reason="cannotParse"
        )
    found = []
    for part in parts:
        name, _, value = part.partition(b"=")
        try:
            found.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError as error:
            raise InvalidRequest(
                "The query string is not percent-encoded UTF-8.", reason="cannotParse"
            ) from error
    return found
