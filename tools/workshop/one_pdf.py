"""Put printed pages together: one outline, and links that stay within the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, Fit, FloatObject, NameObject, NullObject

if TYPE_CHECKING:
    from handout import Printed

Place = tuple[int, float]  # a page of the whole file, and a height on it
TOP = 842.0  # of A4, in points


def merge(printed: list[Printed], address: str, file: Path) -> None:
    """Write one PDF of several.

    Args:
        printed: the pages of the book, in order.
        address: where they were served when they were printed: no link keeps it.
        file: what to write.
    """
    writer, places = PdfWriter(), {}
    firsts = []
    for part in printed:
        reader = PdfReader(part.file)
        first = len(writer.pages)
        firsts.append(first)
        places |= _places(reader, f"{address}{part.name}.html", first)
        writer.append(reader, import_outline=False)
    ends = [*firsts[1:], len(writer.pages)]
    for part, first, end in zip(printed, firsts, ends, strict=True):
        url = f"{address}{part.name}.html"
        for page in writer.pages[first:end]:
            _mend_links(writer, page, url, places, address)
        _add_outline(writer, part, url, first, places)
    # Two chapters have a place of the same name, so that none is kept by name.
    for names in ("/Names", "/Dests"):
        writer.root_object.pop(NameObject(names), None)
    writer.add_metadata({"/Title": "Measured PyTorch"})
    writer.compress_identical_objects()
    writer.write(file)


def _places(reader: PdfReader, url: str, first: int) -> dict[str, Place]:
    """Return where a page and each of its headings stand in the whole file."""
    found = {url: (first, TOP)}
    for name, target in reader.named_destinations.items():
        number = reader.get_destination_page_number(target)
        height = target.get("/Top", TOP)
        top = TOP if isinstance(height, NullObject) else float(height)
        found[f"{url}#{name.removeprefix('/')}"] = (first + number, top)
    return found


def _mend_links(
    writer: PdfWriter, page, url: str, places: dict[str, Place], address: str
) -> None:
    """Lead a page's links to places in the file; drop those that lead to no page of it."""
    kept = ArrayObject()
    for reference in page.get("/Annots", ()):
        link = reference.get_object()
        target = _target(link, url)
        place = places.get(target) or places.get(target.partition("#")[0])
        if place:
            link.pop("/A", None)
            link[NameObject("/Dest")] = _destination(writer, place)
        if place or not target.startswith(address):
            kept.append(reference)
    if "/Annots" in page:
        page[NameObject("/Annots")] = kept


def _target(link, url: str) -> str:
    """Return the address that a link leads to, on its own page too."""
    if "/A" in link:
        action = link["/A"].get_object()
        if "/URI" in action:
            return str(action["/URI"])
        return f"{url}#{action.get('/D', '')}"
    return f"{url}#{str(link.get('/Dest', '')).removeprefix('/')}"


def _destination(writer: PdfWriter, place: Place) -> ArrayObject:
    number, top = place
    page = writer.pages[number].indirect_reference
    return ArrayObject(
        [page, NameObject("/XYZ"), FloatObject(0), FloatObject(top), NullObject()]
    )


def _add_outline(
    writer: PdfWriter, part: Printed, url: str, first: int, places: dict[str, Place]
) -> None:
    """Add a page of the book with its sections to the outline."""
    parent = writer.add_outline_item(
        title=part.title, page_number=first, fit=Fit.xyz(left=0, top=TOP)
    )
    for name, text in part.headings:
        number, top = places.get(f"{url}#{name}", (first, TOP))
        fit = Fit.xyz(left=0, top=top)
        writer.add_outline_item(title=text, page_number=number, parent=parent, fit=fit)
