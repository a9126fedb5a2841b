"""decompress: every instance as Explicit VR Little Endian, pixels exactly as they were coded: `transcode: explicit`.

```yaml
steps:
  - decompress
  - decompress: {keep_lossy: true}
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from node.model import Batch, Kind, Work
from node.steps.transcode import Transcode


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompress:
    """Rewrite every instance as Explicit VR Little Endian, its pixels exactly as they were coded.

    The SOP Instance UID stays. YBR becomes RGB by pixel; palettes stay palettes; 'Lossy Image Compression' stays, and
    is set where lossy coding lacks it. What already is Explicit VR Little Endian is linked, not rewritten. An instance
    with a frame that cannot be decoded, and video, is held.
    """

    keep_lossy: bool = False
    """Leave instances in a syntax that is or may be lossy as they are: they would only grow."""

    name: ClassVar[str] = "decompress"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def problems(self) -> tuple[str, ...]:
        """What this installation cannot decode."""
        return self._transcode().problems()

    def run(self, batch: Batch, work: Work) -> Batch:
        """As `transcode: explicit` does."""
        return self._transcode().run(batch, work)

    def _transcode(self) -> Transcode:
        return Transcode(to="explicit", keep_lossy=self.keep_lossy)
