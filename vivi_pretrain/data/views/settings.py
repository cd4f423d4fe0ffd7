"""What a random view of a frame may look like."""

from __future__ import annotations

from dataclasses import dataclass

from vtab_harness.api.errors import OptionError


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """Settings of random views: inception crop, flip, noise in HSV.

    The defaults are those of the exemplar recipe in the public s4l code; the size is our assumption. For the rotation
    loss the colour noise is switched off.

    Attributes:
        size: Height and width of a view, pixels.
        area: Smallest and largest area of the crop, as a share of the frame.
        aspect: Smallest and largest ratio of the crop's width to its height.
        attempts: Boxes tried before the whole frame is taken. TensorFlow tries 100; one fails only where the frame is
            tiny or so long and narrow that hardly any box fits.
        flip: Whether half of the views are mirrored left to right.
        colour: Whether there is noise in HSV at all.
        hue: h: U(-h, h) is added to the hue, a full circle being 1.
        power: p: saturation and value are each raised to 2**U(-p, p).
        scale: s: and then multiplied by 2**U(-s, s).
        shift: t: and then moved by U(-t, t), and clipped to 0..1.
    """

    size: int = 224
    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    attempts: int = 10
    flip: bool = True
    colour: bool = True
    hue: float = 0.1
    power: float = 2.0
    scale: float = 0.5
    shift: float = 0.1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise OptionError(f"views: size must be 1 or more, got {self.size}")
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise OptionError(f"views: area must be an interval within (0, 1], got {self.area}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise OptionError(f"views: aspect must be an interval of positive numbers, got {self.aspect}")
        if self.attempts < 1:
            raise OptionError(f"views: attempts must be 1 or more, got {self.attempts}")
        for name in ("hue", "power", "scale", "shift"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise OptionError(f"views: {name} must be finite and not negative, got {getattr(self, name)}")
