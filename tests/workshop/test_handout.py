"""The PDF of the book: whole, with its outline, and with links that stay in the file."""

import re
from concurrent.futures import ThreadPoolExecutor

import contents
import pytest

pytestmark = (
    pytest.mark.workshop
)  # needs requirements-workshop.txt, and prints for a minute


@pytest.fixture(scope="module")
def printed(book, tmp_path_factory):
    """The folder with recipes.pdf and book.pdf."""
    import handout

    folder = tmp_path_factory.mktemp("workshop") / "handout"
    # In a thread of its own: the tests' browser has an event loop open in this one, where
    # a second one may not run.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(handout.write, folder, book, contents.notebooks()).result()
    return folder


@pytest.fixture(scope="module")
def reader(printed):
    from pypdf import PdfReader

    return PdfReader(printed / "book.pdf")


@pytest.fixture(scope="module")
def text(reader):
    """All that the PDF says, without spaces: where a line breaks does not matter."""
    return squeezed("".join(page.extract_text() for page in reader.pages))


def squeezed(text):
    return re.sub(r"\s|⁠", "", text)


def test_outline_has_every_page_of_the_book_and_its_sections(reader):
    tops = [each for each in reader.outline if not isinstance(each, list)]
    titles = [contents.title_and_times(path)[0] for path in contents.notebooks()]
    found = [top.title for top in tops]
    assert [t for t in titles if t.replace("`", "") not in found] == []
    assert len(reader.pages) > 150
    pages = [reader.get_destination_page_number(top) for top in tops]
    assert pages == sorted(set(pages))
    sections = [
        e.title for each in reader.outline if isinstance(each, list) for e in each
    ]
    assert sections.count("The short answer") == len(titles)


def test_links_stay_in_the_file_or_lead_outside(reader):
    count = 0
    for page in reader.pages:
        for link in (each.get_object() for each in page.get("/Annots", ())):
            if "/Dest" in link:
                assert link["/Dest"][0].get_object()["/Type"] == "/Page"
                count += 1
            else:
                address = str(link["/A"]["/URI"])
                # What the text gives as the address of `make book` may stay.
                assert address.startswith(("https://", "http://127.0.0.1:8000/")), (
                    address
                )
    assert count > 500


def test_code_is_printed_to_its_last_column(text):
    for path in contents.notebooks():
        for cell in contents.cells(path):
            tags = set(cell["metadata"].get("tags", []))
            if cell["cell_type"] == "code" and not tags & {"hide-cell", "hide-input"}:
                for line in cell["source"].splitlines():
                    assert squeezed(line) in text, (path.stem, line)


def test_no_solution_is_printed_and_folds_are_open(text):
    for path in contents.notebooks():
        for cell in contents.cells(path):
            if "solution" in cell["metadata"].get("tags", []):
                assert squeezed(cell["source"].partition("\n")[2]) not in text, (
                    path.stem
                )
    assert "✓Correct:" not in text
    assert text.count("Whatyousaw") >= len(contents.notebooks())


def test_recipes_fit_on_two_sheets(printed):
    from pypdf import PdfReader

    pages = PdfReader(printed / "recipes.pdf").pages
    assert len(pages) <= 2
    said = squeezed("".join(page.extract_text() for page in pages))
    for path in contents.notebooks():
        (recipe,) = (
            cell["source"]
            for cell in contents.cells(path)
            if "recipe" in cell["metadata"].get("tags", [])
        )
        assert squeezed(recipe.splitlines()[-1]) in said, path.stem
