"""The second reader: whether a route's outputs still say who the patient is.

It shares nothing with what de-identifies but the names of attributes and the decoding of character sets, so that a
fault there is not repeated here. Originals and outputs are parsed by code of its own.

collect    the values that identify, from the originals of a unit
kept       what a route leaves on purpose, and is therefore no leak
parse      encoded data sets -> values and where they stand
fold       text and names in one spelling: case, accents, transliteration
words      words that are no evidence of a person
patterns   names and ids -> what to look for; dates: dates in any usual form
automaton  all that is looked for, as one automaton over the tokens of a text
dicom, files   an output -> its texts and where they stand; pictures (PNG, JPEG), arrays (NRRD, MetaImage, NumPy)
pixels     text in pixels, found by whatever recognises characters
reading    every output of a unit -> findings: what was found and where, never the value
"""

from node.leaks.collect import Collected, collect
from node.leaks.kept import Kept
from node.leaks.pixels import TextsOf
from node.leaks.reading import Finding, Output, Reader
from node.leaks.what import What

__all__ = ["Collected", "Finding", "Kept", "Output", "Reader", "TextsOf", "What", "collect"]
