"""Which members of an answer are never kept, judged by botocore's models and by their names.

Models mark some members as sensitive, and forget others: keys of BGP peers, tokens, the
environment of programs. So a text is withheld, too,

- whose name says that it is a secret, unless its end says that it only tells of one (its ARN, its
  id, its kind) or it is a token that merely asks or pages;
- that is a free value given to a program, where people put secrets: variables of an environment,
  arguments of jobs, headers sent along, parameters and outputs of a stack;
- that is the value of something called a secret.

What a model marks is withheld with all that lies below it, but for what an auditor has to read:
names, descriptions, ids of keys. Names are compared in lower case, without `_` and `-`.
Invariant: a name that says secret and is not known to be harmless is withheld, also one that AWS
adds later.
"""

import re
from typing import Any

READ = frozenset(
    {
        "comment",
        "description",
        "email",
        "emailaddress",
        "kmskeyid",
        "kmsmasterkeyid",
        "message",
        "name",
    }
)
"""Members that models mark as sensitive and an auditor must be able to read."""

_SAYS = re.compile(
    r"secret|passw|passphrase|passcode|credential|token|wallet"
    r"|(?:private|preshared|shared|auth|api|license|stream|activation|decryption|access)key"
    r"|(?:activation|registration|auth|unlock)code|keyvalue|keymaterial|userdata"
    r"|connectionstring|connectionattributes|jdbcurl|launchparameters"
    r"|(?:signed|presigned|download|upload|confirmation|auth)url$"
    r"|customerrouterconfig|customergatewayconfiguration"
)
"""Words in a member's name which say that its text is a secret, or holds one."""

_TELLS_OF = re.compile(
    r"(?:arns?|ids?|identifiers?|names?|types?|status|state|mode|description|algorithm|expression"
    r"|kmskey|endpoint|source|provider|method|param|parameter|header|field|domains?|vendor|alias"
    r"|rotation|enforced|address|audiences|publickeys?|date|time)$"
)
"""Ends of names of members that tell of a secret and are none."""

_HARMLESS = frozenset(
    {
        "authcodeurl",
        "authorizercredentials",
        "cdnidentifiersecret",
        "certificatesecret",
        "clientrequesttoken",
        "clienttoken",
        "connectionstring",
        "creationtoken",
        "credentials",
        "domainjoinserviceaccountsecret",
        "hooksrequesttoken",
        "httptokens",
        "idempotencytoken",
        "locktoken",
        "pretokengeneration",
        "requesttoken",
        "resulttoken",
        "secretstringkey",
        "secretversionstostages",
        "sourceupdatetoken",
        "sqlservercredentials",
        "tokenproperties",
        "tokenstring",
        "tokenurl",
        "updatetoken",
        "uploadsequencetoken",
        "viewversiontoken",
    }
)
"""Members that say secret and hold none: ARNs of roles and of secrets, names of what was asked,
an alias's domain, stages of versions, settings, tokens that number what is shown or changed."""

_PAGES = re.compile(r"(?:next|continuation|pagination|page)[a-z]*token$")
"""Tokens with which an answer goes on."""

_FREE = re.compile(
    r"(?:[a-z]*environmentvariables(?:overrides?)?|environment(?:overrides?)?|env|envvars"
    r"|(?:stage)?variables|stagevariableoverrides|[a-z]*arguments|headers|insertheaders"
    r"|headerparameters|querystringparameters|requestparameters|tokenurlcustomproperties)$"
)
"""Members that hold free values by their names, as a map or as a list of names with values."""

_VALUES = frozenset({"value", "values", "plaintext", "content"})

_ALWAYS = frozenset({"outputvalue", "resolvedvalue", "resourceproperties"})
"""What stacks are given and give back."""

_OF_SERVICES = frozenset(
    {
        ("cloudformation", "parametervalue"),
        ("ssm", "outputs"),
    }
)
"""Members, by service, that hold free values there and something harmless elsewhere."""

_ROUNDS = 2
"""How often a member that holds its like again is followed into itself."""


def paths_of(service: str, shape: Any) -> tuple[str, ...]:
    """The dotted paths below a shape of the texts that are withheld; `*` is every element.

    An empty path is the shape itself, a text that is wholly withheld.
    """
    found: set[str] = set()
    loops: set[tuple[str, str]] = set()
    _walk(_Here(service, shape), found, loops)
    for _ in range(_ROUNDS):
        found |= {
            again + path[len(first) :]
            for first, again in loops
            for path in tuple(found)
            if path.startswith(f"{first}.")
        }
    return tuple(sorted(path.removeprefix(".") for path in found))


class _Here:
    """A place in a shape: how it is reached, and what is known from above it."""

    __slots__ = ("above", "holder", "mapped", "marked", "path", "seen", "service", "shape")

    def __init__(self, service: str, shape: Any) -> None:
        self.service = service
        self.shape = shape
        self.path = ""
        self.holder = ""
        self.above = ""
        self.marked = bool(shape.metadata.get("sensitive"))
        self.mapped = False
        self.seen: dict[str, str] = {}

    def below(self, member: str, shape: Any) -> "_Here":
        """The place of one member, or of the elements (`*`)."""
        there = _Here(self.service, shape)
        there.path = f"{self.path}.{member}"
        there.seen = {**self.seen, self.shape.name: self.path}
        if member == "*":
            there.holder, there.above = self.holder, self.above
            there.mapped = True
        else:
            there.holder, there.above = plain(member), self.holder
        marked = self.marked or bool(shape.metadata.get("sensitive"))
        there.marked = marked and (member == "*" or there.holder not in READ)
        return there

    def withheld(self) -> bool:
        """Whether the text here is."""
        return (
            self.marked
            or _says(self.holder)
            or self.holder in _ALWAYS
            or (self.service, self.holder) in _OF_SERVICES
            or (self.mapped and bool(_FREE.match(self.holder)))
            or (self.holder in _VALUES and bool(_FREE.match(self.above) or _called(self.above)))
        )


def plain(member: str) -> str:
    """A member's name as patterns see it: in small letters, and nothing between them."""
    return member.lower().replace("_", "").replace("-", "")


def _called(name: str) -> bool:
    """Whether a name says secret, and not only that it tells of one."""
    return bool(_SAYS.search(name)) and not _TELLS_OF.search(name)


def _says(name: str) -> bool:
    """Whether a text of this name is a secret, as far as its name tells."""
    if name.endswith(("authkey", "apikey", "decryptionkey")):
        return True
    return _called(name) and name not in _HARMLESS and not _PAGES.search(name)


def _walk(here: _Here, found: set[str], loops: set[tuple[str, str]]) -> None:
    kind = here.shape.type_name
    if kind in ("string", "blob"):
        if here.withheld():
            found.add(here.path)
        return
    if here.shape.name in here.seen:
        loops.add((here.seen[here.shape.name], here.path))
        return
    if kind == "structure":
        for member, inner in here.shape.members.items():
            _walk(here.below(member, inner), found, loops)
    elif kind == "list":
        _walk(here.below("*", here.shape.member), found, loops)
    elif kind == "map":
        _walk(here.below("*", here.shape.value), found, loops)
