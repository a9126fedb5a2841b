"""png: pictures of the images in the batch, lossless, beside the DICOM instances they were made from.

```yaml
steps:
  - png
  - png: {window: lung, longest: 512}
  - png: montage
  - png: {window: [40, 400], bits: 16}
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from node.imaging.picture_files import png
from node.steps.pictures import Order, Pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Png(Pictures):
    """Pictures of every frame, or one of each series, as PNG files without text; the instances pass on.

    Grey images are shown as PS3.3 C.11 says: Modality LUT or rescale, VOI LUT or window, Presentation LUT Shape.
    MONOCHROME1 comes out upright, padding black, palettes in their colours. Rows and columns stay as stored. An image
    that cannot be decoded or shown with certainty is held; what is no image passes on.
    """

    name: ClassVar[str] = "png"

    bits: Literal[8, 16] = 8
    """Of a grey value, or of each colour."""
    animated: bool = False
    """With `frames`: an instance of several frames as one animated PNG instead of numbered files."""

    def _wrong(self) -> Iterator[str]:
        yield from Pictures._wrong(self)
        if self.animated and self.show != "frames":
            yield f"animated is of frames; a {self.show} does not move"

    def _order(self) -> Order:
        return Order(self.show, self._look(self.bits), self.tiles, ".png", png, animated=self.animated)
