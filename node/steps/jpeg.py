"""jpeg: pictures of the images in the batch, small, beside the DICOM instances they were made from.

```yaml
steps:
  - jpeg
  - jpeg: middle
  - jpeg: {show: montage, window: soft_tissue, longest: 256}
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from node.imaging.picture_files import jpeg
from node.steps.pictures import Order, Pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg(Pictures):
    """Pictures of every frame, or one of each series, as JPEG files without text or EXIF; the instances pass on.

    Grey images are shown as PS3.3 C.11 says: Modality LUT or rescale, VOI LUT or window, Presentation LUT Shape.
    MONOCHROME1 comes out upright, padding black, palettes in their colours. Rows and columns stay as stored. An image
    that cannot be decoded or shown with certainty is held; what is no image passes on.
    """

    name: ClassVar[str] = "jpeg"

    quality: int = 90
    """1 to 100; colour is kept at full resolution."""

    def _wrong(self) -> Iterator[str]:
        yield from Pictures._wrong(self)
        if not 1 <= self.quality <= 100:
            yield "quality is a number from 1 to 100"

    def _order(self) -> Order:
        return Order(self.show, self._look(), self.tiles, ".jpg", partial(jpeg, quality=self.quality))
