"""Makes the fonts of the PDF from Noto Sans SC; see README.md."""

import bz2
import sys

from fontTools import subset
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

regular, bold, out = sys.argv[1:]

# Latin, Greek, Cyrillic, punctuation, arrows, signs of mathematics, circled figures, frames, full-width forms.
SIGNS = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x45F), (0x2000, 0x209F), (0x20AC, 0x20AC), (0x2100, 0x23FF),
    (0x2460, 0x266F), (0x2700, 0x27BF), (0x3000, 0x303F), (0x3200, 0x33FF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF),
]
signs = {c for first, last in SIGNS for c in range(first, last + 1)}


def standard():
    """The characters of the table of standard Chinese characters (通用规范汉字表, 2013), 8105 of them."""
    with bz2.open("/usr/share/unicode/Unihan_OtherMappings.txt.bz2", "rt") as lines:
        return {int(line.split("\t")[0][2:], 16) for line in lines if "\tkTGH\t" in line}


def gb2312():
    pairs = (bytes([high, low]) for high in range(0xA1, 0xF8) for low in range(0xA1, 0xFF))
    return {ord(c) for pair in pairs for c in pair.decode("gb2312", "ignore")}


def make(source, name, characters):
    font = TTFont(source, recalcTimestamp=False)
    options = subset.Options(hinting=False, notdef_outline=True, layout_features=[], name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "STAT", "vhea", "vmtx", "gasp"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)

    extra = {}  # subscript figures, which the font does not have; and a second place for what a PDF of ours cannot address
    best = font.getBestCmap()
    for digit in range(10):
        pen = TTGlyphPen(font.getGlyphSet())
        pen.addComponent(best[0x30 + digit], (0.6, 0, 0, 0.6, 0, -120))
        glyph = f"subscript{digit}"
        font["glyf"][glyph] = pen.glyph()
        font["hmtx"][glyph] = (round(0.6 * font["hmtx"][best[0x30 + digit]][0]), 0)
        extra[0x2080 + digit] = glyph
    font.setGlyphOrder(font["glyf"].glyphOrder)
    for i, c in enumerate(sorted(c for c in best if c > 0xFFFF)):
        extra[0xE000 + i] = best[c]
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap.update(extra)
    font.save(f"{out}/{name}.ttf")


tgh = standard()
assert len(tgh) == 8105
make(regular, "regular", signs | set(range(0x4E00, 0xA000)) | tgh | gb2312())
make(bold, "bold", signs | {c for c in tgh if c < 0x10000} | gb2312())
