"""Reading content files: YAML that people can write, review and compare.

`content/frameworks/*.yaml` hold one framework each, `content/services.yaml` the services in scope,
`content/catalogue.yaml` the domains, objectives and common controls.
libyaml reads a framework of 300 controls in some 30 ms, so nothing is packed beforehand.
"""

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from auditkeep.errors import InputError
from auditkeep.library.content import CatalogueText, Content, ServiceText

Shape = TypeVar("Shape")

FOLDER = Path(str(files("auditkeep.library"))) / "content"

# The same safe loader, in C where PyYAML was built with libyaml and twelve times slower otherwise.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_frameworks(folder: Path = FOLDER / "frameworks") -> list[Content]:
    """Every framework in a folder, by file name; InputError names file and member at fault."""
    return [_read(path, Content) for path in sorted(folder.glob("*.yaml"))]


def read_services(path: Path = FOLDER / "services.yaml") -> list[ServiceText]:
    return _read(path, list[ServiceText])


def read_catalogue(path: Path = FOLDER / "catalogue.yaml") -> CatalogueText:
    """Domains, objectives and common controls."""
    return _read(path, CatalogueText)


def _read(path: Path, shape: type[Shape]) -> Shape:
    try:
        loaded = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader
        return msgspec.convert(loaded, shape)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise InputError(f"The library's file {path.name} cannot be used: {error}") from error
