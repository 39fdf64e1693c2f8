"""Renders base documents with the libraries that real programs use; each comes near a target size in bytes.

Every renderer is a pure function of its dice: same dice, same bytes.
"""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from xml.etree import ElementTree as ET

import docx
import xlsxwriter
from docx.shared import Cm
from PIL import Image, ImageDraw, ImageFont
from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from offloader_connectors.emulation.texts import LANGUAGES, paragraph

#: Date that every document carries; the clock is never read.
MADE = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
#: Members of made archives carry this date, so that equal content is equal bytes.
_ZIP_DATE = (2024, 5, 17, 9, 30, 0)
#: The core properties of DOCX and XLSX; left out of a base document, written per index.
CORE_PROPERTIES = "docProps/core.xml"
#: Stands in every base TIFF and is overwritten in place; 24 characters.
TIFF_REFERENCE = "Ref. 000000000000000000."
# Binary streams: the default, base 85 in pure Python, takes longer than all the rest.
rl_config.useA85 = 0
_CID_FONT = "STSong-Light"
_CID_LANGUAGES = ("ru", "zh")
#: bytes per pixel that the encoders reach on our pictures
_JPEG_DENSITY, _LARGE_JPEG_DENSITY, _PNG_DENSITY, _TIFF_DENSITY = 0.20, 0.6, 0.34, 1.1


def _photo(dice: random.Random, pixels: float) -> Image.Image:
    """A picture of soft shapes with some grain, 4:3."""
    height = max(24, int((pixels * 3 / 4) ** 0.5))
    width = height * 4 // 3
    coarse = (max(2, width // 24), max(2, height // 24))
    shapes = Image.frombytes("RGB", coarse, dice.randbytes(coarse[0] * coarse[1] * 3))
    shapes = shapes.resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", (width, height), dice.randbytes(width * height)).convert("RGB")
    return Image.blend(shapes, grain, 0.08)


def _page(dice: random.Random, language: str, pixels: float) -> Image.Image:
    """A scanned sheet: lines of text, slightly askew. The picture font has Latin letters only."""
    width = max(200, int((pixels / 1.414) ** 0.5))
    height = int(width * 1.414)
    sheet = Image.new("L", (width, height), 244)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(max(8, width // 60))
    latin = "en" if language in _CID_LANGUAGES else language
    for line in range(8, 56):
        draw.text((width // 10, line * height // 60), paragraph(dice, latin, 1)[:90], fill=40, font=font)
    sheet = sheet.rotate(dice.uniform(-0.7, 0.7), fillcolor=250)
    return Image.blend(sheet, Image.frombytes("L", sheet.size, dice.randbytes(width * height)), 0.05)


def jpeg(dice: random.Random, _language: str, size: int) -> bytes:
    """A photograph."""
    out = io.BytesIO()
    large = size > 1_000_000  # finer, not wider: the picture in memory stays small
    picture = _photo(dice, size / (_LARGE_JPEG_DENSITY if large else _JPEG_DENSITY))
    picture.save(out, "JPEG", quality=97 if large else 80)
    return out.getvalue()


def png(dice: random.Random, _language: str, size: int) -> bytes:
    """A picture in 64 colours."""
    out = io.BytesIO()
    picture = _photo(dice, size / _PNG_DENSITY)
    picture.quantize(64, Image.Quantize.FASTOCTREE).save(out, "PNG")
    return out.getvalue()


def tiff(dice: random.Random, language: str, size: int) -> bytes:
    """A scanned sheet in grey."""
    out = io.BytesIO()
    sheet = _page(dice, language, size / _TIFF_DENSITY)
    sheet.save(out, "TIFF", compression="tiff_lzw", description=TIFF_REFERENCE)
    return out.getvalue()


def _scan_jpeg(dice: random.Random, language: str, size: int) -> bytes:
    out = io.BytesIO()
    _page(dice, language, size / 0.2).save(out, "JPEG", quality=55)
    return out.getvalue()


def _canvas(out: io.BytesIO, language: str, title: str) -> Canvas:
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(title)
    if language in _CID_LANGUAGES:
        pdfmetrics.registerFont(UnicodeCIDFont(_CID_FONT))
        canvas.setFont(_CID_FONT, 10)
    else:
        canvas.setFont("Helvetica", 10)
    return canvas


def _letter_page(canvas: Canvas, dice: random.Random, language: str) -> None:
    font = _CID_FONT if language in _CID_LANGUAGES else "Helvetica"
    canvas.setFont(font, 10)
    top = 780.0
    for _ in range(dice.randint(4, 9)):
        for line in simpleSplit(paragraph(dice, language, dice.randint(2, 5)), font, 10, 460):
            canvas.drawString(64, top, line)
            top -= 14
        top -= 10
    canvas.showPage()


def _invoice_page(canvas: Canvas, dice: random.Random, language: str) -> None:
    words = LANGUAGES[language]
    top, total = 780.0, 0
    canvas.drawString(64, top, f"{words.invoice} {dice.randint(10_000, 99_999)}")
    for number in range(1, dice.randint(4, 22)):
        cents = dice.randint(100, 500_000)
        total += cents
        top -= 20
        canvas.drawString(64, top, f"{number}  {words.item} {dice.randint(100, 999)}")
        canvas.drawRightString(530, top, f"{cents / 100:.2f}")
    canvas.line(64, top - 8, 530, top - 8)
    canvas.drawString(64, top - 24, words.total)
    canvas.drawRightString(530, top - 24, f"{total / 100:.2f}")
    canvas.showPage()


def pdf(dice: random.Random, language: str, size: int) -> bytes:
    """An invoice, a contract of some pages, or a scan; a scanned annex brings it to its size."""
    out = io.BytesIO()
    style = dice.choice((_invoice_page, _letter_page))
    canvas = _canvas(out, language, LANGUAGES[language].invoice)
    for _ in range(dice.randint(1, 3)):
        style(canvas, dice, language)
    left = size - 6_000
    while left > 2_000:
        picture = _scan_jpeg(dice, language, min(left, 900_000))
        canvas.drawImage(ImageReader(io.BytesIO(picture)), 0, 0, *A4)
        canvas.showPage()
        left -= max(20_000, len(picture))
    canvas.save()
    return out.getvalue()


def _rezip(archive: bytes, without: str) -> bytes:
    """The same archive with fixed dates and without one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name != without:
                new.writestr(zipfile.ZipInfo(name, _ZIP_DATE), old.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def docx_letter(dice: random.Random, language: str, size: int) -> bytes:
    """A letter with a picture."""
    letter = docx.Document()
    letter.add_heading(LANGUAGES[language].letter, 1)
    for _ in range(dice.randint(4, 14)):
        letter.add_paragraph(paragraph(dice, language, dice.randint(2, 6)))
    if size > 40_000:
        letter.add_picture(io.BytesIO(jpeg(dice, language, size - 30_000)), width=Cm(14))
    out = io.BytesIO()
    letter.save(out)
    return _rezip(out.getvalue(), CORE_PROPERTIES)


def xlsx(dice: random.Random, language: str, size: int) -> bytes:
    """A price list with sums."""
    words = LANGUAGES[language]
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet(words.prices[:30])
    rows = max(5, (size - 6_000) // 26)
    for row in range(rows):
        sheet.write_row(row, 0, (f"{words.item} {row + 1}", dice.randint(1, 500), dice.randint(100, 999_999) / 100))
        sheet.write_formula(row, 3, f"=B{row + 1}*C{row + 1}")
    sheet.write_formula(rows, 3, f"=SUM(D1:D{rows})")
    book.close()
    return _rezip(out.getvalue(), CORE_PROPERTIES)


def eml(dice: random.Random, language: str, size: int) -> bytes:
    """An e-mail with text, HTML and a document inside."""
    words = LANGUAGES[language]
    message = EmailMessage()
    message["From"] = "Sales <sales@example.com>"
    message["To"] = "Customer <customer@example.org>"
    message["Subject"] = f"{words.message} {dice.randint(1000, 9999)}"
    message["Date"] = MADE
    message.set_content(paragraph(dice, language, 6))
    message.add_alternative(f"<p>{paragraph(dice, language, 6)}</p>", subtype="html")
    if size > 12_000:
        inner = int((size - 8_000) / 1.36)
        if dice.random() < 0.5:
            message.add_attachment(pdf(dice, language, inner), "application", "pdf", filename=words.invoice + ".pdf")
        else:
            message.add_attachment(jpeg(dice, language, inner), "image", "jpeg", filename=words.photo + ".jpg")
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{dice.getrandbits(64):016x}")
    return message.as_bytes()


def bundle(dice: random.Random, language: str, size: int) -> bytes:
    """A ZIP archive with several files in folders."""
    words = LANGUAGES[language]
    left = max(0, size - 12_000)
    members = {
        f"{words.bundle}/{words.letter}.txt": text(dice, language, 2_000),
        f"{words.bundle}/{words.prices}.csv": table(dice, language, 8_000),
        f"{words.bundle}/{words.invoice}.pdf": pdf(dice, language, left // 3),
        f"{words.photo}.jpg": jpeg(dice, language, left * 2 // 3),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def text(dice: random.Random, language: str, size: int) -> bytes:
    """Plain text in UTF-8."""
    paragraphs, length = [], 0
    while length < size:
        paragraphs.append(paragraph(dice, language, 3))
        length += len(paragraphs[-1].encode()) + 2
    return ("\r\n".join(paragraphs) + "\r\n").encode()


def table(dice: random.Random, language: str, size: int) -> bytes:
    """A CSV file with semicolons."""
    words = LANGUAGES[language]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";")
    writer.writerow((words.item, "EAN", words.total))
    number = 0
    while out.tell() < size:
        number += 1
        writer.writerow((f"{words.item} {number}", dice.randint(10**12, 10**13 - 1), f"{dice.randint(1, 99999) / 100}"))
    return out.getvalue().encode()


def xml(dice: random.Random, language: str, size: int) -> bytes:
    """An invoice as data."""
    words = LANGUAGES[language]
    root = ET.Element("invoice", {"lang": language, "title": words.invoice})
    for number in range(1, max(3, size // 80)):
        line = ET.SubElement(root, "line", {"number": str(number), "amount": f"{dice.randint(1, 99999) / 100}"})
        line.text = f"{words.item} {dice.randint(100, 999)}"
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


Renderer = Callable[[random.Random, str, int], bytes]
RENDERERS: Mapping[str, Renderer] = {
    "pdf": pdf,
    "docx": docx_letter,
    "xlsx": xlsx,
    "jpeg": jpeg,
    "png": png,
    "tiff": tiff,
    "eml": eml,
    "zip": bundle,
    "txt": text,
    "csv": table,
    "xml": xml,
}
