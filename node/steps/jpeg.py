"""jpeg: pictures of the images in the batch, small, beside the DICOM instances they were made from.

```yaml
steps:
  - jpeg
  - jpeg: middle
  - jpeg: {show: montage, window: soft_tissue, longest: 256}
```
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from node.errors import CannotSucceed
from node.imaging.picture_files import jpeg
from node.imaging.pictures import Look, Named
from node.imaging.window import Function
from node.model import Batch, Kind, Work
from node.steps.pictures import Order, Show, draw, problems_of, window_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """Pictures of every frame, or one of each series, as JPEG files without text or EXIF; the instances pass on.

    Grey images are shown as PS3.3 C.11 says: Modality LUT or rescale, VOI LUT or window, Presentation LUT Shape.
    MONOCHROME1 comes out upright, padding black, palettes in their colours. Rows and columns stay as stored. An image
    that cannot be decoded or shown with certainty is held; what is no image passes on.
    """

    name: ClassVar[str] = "jpeg"
    short: ClassVar[str] = "show"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.IMAGE})
    needs: ClassVar[frozenset[str]] = frozenset()

    show: Show = "frames"
    """`frames`: a file for each frame, numbered where an instance has several. `middle`: the middle slice of each
    series. `montage`: slices of each series, evenly spread, on one sheet."""
    window: Named | tuple[float, float] = "header"
    """`header`: its VOI LUT, else its window, else 8-bit pixels as they are and others between their `percentiles`.
    `lung`, `bone`, `brain`, `soft_tissue`: of CT in Hounsfield units; other grey images are held. `percentile`: between
    `percentiles`. `full`: all values that the pixels can have. Or `[center, width]`. Colour is not windowed."""
    function: Function = "LINEAR"
    """What `[center, width]` means, PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    percentiles: tuple[float, float] = (1.0, 99.0)
    """Of the values of an instance, or of all slices of a preview, padding left out."""
    quality: int = 90
    """1 to 100; colour is kept at full resolution."""
    aspect: Literal["square", "stored"] = "square"
    """`square`: where pixels are longer than wide, or wider than long, the picture grows until they are square."""
    overlays: bool = False
    """Draw the overlay planes of an image (groups 60xx) in white, as it came; they may have text in them."""
    longest: int = 0
    """Pixels of the longer side; larger pictures are reduced. 0: as stored, and 1536 for a montage."""
    tiles: int = 20
    """Most slices on a montage."""

    @property
    def whole(self) -> bool:
        """Previews need all of a series; pictures of frames are made instance by instance."""
        return self.show != "frames"

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each."""
        found = list(problems_of(self.window, self.function, self.percentiles, self.longest, self.tiles))
        if not 1 <= self.quality <= 100:
            found.append("quality is a number from 1 to 100")
        return tuple(found)

    def run(self, batch: Batch, work: Work) -> Batch:
        """The batch with its pictures. Raises CannotSucceed for options that mean nothing."""
        if problems := self.problems():
            raise CannotSucceed("; ".join(problems))
        look = Look(
            window=window_of(self.window, self.function),
            percentiles=self.percentiles,
            square=self.aspect == "square",
            longest=self.longest,
            overlays=self.overlays,
        )
        return draw(batch, work, Order(self.show, look, self.tiles, ".jpg", partial(jpeg, quality=self.quality)))
