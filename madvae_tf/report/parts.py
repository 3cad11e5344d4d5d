"""What a section is made of: tables, and parts that a macro of templates/parts.html.j2 draws."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from madvae_tf.report.table import Table


@dataclass(frozen=True)
class Part:
    """Something that is no table.

    Attributes:
        kind: a macro of templates/parts.html.j2.
        values: its arguments, plain text unless the macro says otherwise.
        files: file name -> bytes, what it adds to the folder `figures`.
    """

    kind: str
    values: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A section: identifier, title, and parts in reading order; without parts it is left out."""

    name: str
    title: str
    parts: Sequence[Part | Table]

    @property
    def tables(self) -> Iterator[Table]:
        """The tables among its parts."""
        return (part for part in self.parts if isinstance(part, Table))

    @property
    def files(self) -> dict[str, bytes]:
        """The pictures of its parts, file name -> bytes."""
        return {
            name: content
            for part in self.parts
            if isinstance(part, Part)
            for name, content in part.files.items()
        }


def paragraph(text: str, strong: str = "", kind: str = "") -> Part:
    """A paragraph; `strong` stands before the text, `kind` is its CSS class."""
    return Part("paragraph", {"text": text, "strong": strong, "kind": kind})


def definitions(items: Mapping[str, str], title: str = "", kind: str = "notes") -> Part:
    """Terms, and the meaning of each."""
    return Part("definitions", {"items": items, "title": title, "kind": kind})


def gallery(pictures: Sequence[Part]) -> list[Part]:
    """Pictures side by side; nothing without any."""
    files = {name: content for picture in pictures for name, content in picture.files.items()}
    return (
        [Part("gallery", {"pictures": [picture.values for picture in pictures]}, files)]
        if pictures
        else []
    )
