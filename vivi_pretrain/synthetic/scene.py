"""Scenes and their shots: the same objects and ground, another camera, light and pose in each shot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.synthetic.backdrop import backdrop
from vivi_pretrain.synthetic.objects import Light, Object, Sprite, random_object, random_rotation
from vivi_pretrain.synthetic.plan import FADE_FRAMES, generator, planned
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.synthetic.textures import Field, colour

_REACH = 2.2
"""Half the side of the ground; a frame shows from -1 to 1 at zoom 1."""
_SHADOW = 0.45
"""Opacity of shadows."""
_SHADOW_REACH = 0.08
"""How far from an object its shadow lies, in diameters, when the lamp stands at 45 degrees."""
_MARGIN = 1.3
"""Side of a sprite with room for the shadow, in sides of the object."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What all shots of a video have in common.

    Attributes:
        ground: RGB, shape (side, side, 3), uint8, covering -`_REACH` to `_REACH`.
        objects: From the farthest to the nearest.
        places: Middle of each object, right and down, shape (objects, 2).
        sizes: Radius of each, shape (objects,).
    """

    ground: Sprite
    objects: tuple[Object, ...]
    places: NDArray[np.float64]
    sizes: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Line:
    """A quantity that changes evenly in the course of a shot, with a slow swing on top."""

    start: NDArray[np.float64]
    change: NDArray[np.float64]
    swing: NDArray[np.float64]
    phase: NDArray[np.float64]

    def at(self, part: float) -> NDArray[np.float64]:
        return self.start + self.change * (part - 0.5) + self.swing * np.sin(2 * np.pi * part + self.phase)


def scene(rng: np.random.Generator, size: int) -> Scene:
    """Returns a random scene for frames of a size in pixels."""
    plain = rng.uniform() < 0.15
    strength = (0.0, 0.15) if plain else (0.1, 0.8)
    palette = [colour(rng, strength, (0.2, 0.8)) for _ in range(2)]
    vivid = [colour(rng, (0.2, 1), (0.35, 1)) for _ in range(4)]
    count = int(rng.integers(4, 9))
    # One object in each of some cells, so that few are hidden by others.
    cells = rng.permutation(16)[:count]
    places = np.stack([cells % 4, cells // 4], axis=1) * 0.72 - 1.08 + rng.uniform(-0.2, 0.2, (count, 2))
    return Scene(
        ground=backdrop(rng, palette, int(_REACH * size)),
        objects=tuple(random_object(rng, vivid) for _ in range(count)),
        places=places,
        sizes=rng.uniform(0.25, 0.62, count),
    )


class DrawnShot:
    """One shot of a scene.

    Args:
        content: The scene.
        rng: Random numbers that settle camera, light, poses and movements.
        size: Height and width of a frame in pixels.
        brightness: Gain on all colours.
    """

    def __init__(self, content: Scene, rng: np.random.Generator, size: int, brightness: float) -> None:
        self._scene = content
        self._size = size
        count = len(content.objects)
        direction, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.9)
        flat = np.sqrt(1 - height**2)
        towards = np.asarray([np.cos(direction) * flat, np.sin(direction) * flat, height], dtype=np.float32)
        light = Light(towards, float(rng.uniform(0.35, 0.6)), float(rng.uniform(0, 0.4)))
        # Camera: middle of the view, logarithm of the zoom, roll in radians.
        aim = content.places[int(rng.integers(count))] * 0.7
        self._camera = _Line(
            start=np.asarray([*aim, rng.uniform(-0.25, 0.45), rng.uniform(-0.6, 0.6)]),
            change=np.asarray([*rng.uniform(-0.35, 0.35, 2), rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25)]),
            swing=rng.uniform(-0.03, 0.03, 4),
            phase=rng.uniform(0, 2 * np.pi, 4),
        )
        self._zoom = float(np.exp(self._camera.start[2]))
        # Objects: right, down, turn in radians, logarithm of the size.
        spans = np.asarray([0.3, 0.3, 0.9, 0.15])
        self._moves = _Line(
            start=rng.uniform(-1, 1, (count, 4)) * np.asarray([0.12, 0.12, 0, 0.15]),
            change=rng.uniform(-1, 1, (count, 4)) * spans,
            swing=rng.uniform(-1, 1, (count, 4)) * spans * 0.15,
            phase=rng.uniform(0, 2 * np.pi, (count, 4)),
        )
        self._sprites = [
            self._drawn(thing, radius, random_rotation(rng, 1.0), light)
            for thing, radius in zip(content.objects, content.sizes, strict=True)
        ]
        self._light = self._cast(rng, brightness)
        self._grain = rng.integers(-3, 4, (2 * size, 2 * size, 1)).astype(np.float32)

    def _drawn(self, thing: Object, radius: float, pose: Field, light: Light) -> Sprite:
        """Returns an object's sprite, about as large as it will be seen, together with its shadow on the ground."""
        side = max(round(radius * self._zoom * self._size), 8)
        alone = thing.sprite(side, pose, light)
        margin = round(side * (_MARGIN - 1) / 2)
        sprite = np.pad(alone, ((margin, margin), (margin, margin), (0, 0)))
        soft = cv2.blur(sprite[:, :, 3], (side // 8 | 1, side // 8 | 1), borderType=cv2.BORDER_CONSTANT)
        offset = -light.towards[:2] / light.towards[2] * (side * _SHADOW_REACH)
        # Within the margin, so that no shadow is cut off.
        offset = np.clip(offset, -margin, margin)
        moved = np.asarray([[1, 0, offset[0]], [0, 1, offset[1]]], dtype=np.float64)
        shadow = cv2.warpAffine(soft, moved, soft.shape[::-1]) * np.float32(_SHADOW)
        opacity = sprite[:, :, 3] + shadow * (1 - sprite[:, :, 3] * np.float32(1 / 255))
        sprite[:, :, 3] = np.rint(opacity).astype(np.uint8)
        return sprite

    def _cast(self, rng: np.random.Generator, brightness: float) -> Field:
        """Returns what colours are multiplied with: a cast, and a slope across the frame, shape (size, size, 3)."""
        place = np.linspace(-1, 1, self._size)
        slope = rng.uniform(-0.25, 0.25, 2)
        across = 1 + slope[0] * place[None, :] + slope[1] * place[:, None]
        cast = rng.uniform(0.88, 1.12, 3)
        return np.asarray(brightness * across[:, :, None] * cast, dtype=np.float32)

    def frame(self, part: float, gain: float, number: int) -> NDArray[np.uint8]:
        """Returns a frame as RGB, shape (size, size, 3), uint8.

        Args:
            part: How much of the shot has passed, in 0..1.
            gain: Brightness of a fade; 1 outside of fades.
            number: Which frame it is, for the grain of the film.
        """
        x, y, zoom, roll = self._camera.at(part)
        scale = np.exp(zoom) * self._size / 2
        c, s = np.cos(roll) * scale, np.sin(roll) * scale
        view = np.asarray([[c, -s], [s, c]])
        middle = np.full(2, self._size / 2)
        ground = self._scene.ground
        onto = view * (2 * _REACH / len(ground))
        shift = middle - view @ np.asarray([x + _REACH, y + _REACH])
        matrix = np.column_stack([onto, shift])
        seen = cv2.warpAffine(
            ground, matrix, (self._size, self._size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        frame = np.asarray(seen, dtype=np.uint8)
        moves = self._moves.at(part)
        for sprite, place, radius, move in zip(
            self._sprites, self._scene.places, self._scene.sizes, moves, strict=True
        ):
            turn = roll + move[2]
            size = radius * np.exp(move[3]) * scale * (2 * _MARGIN)
            step = size / len(sprite)
            c, s = np.cos(turn) * step, np.sin(turn) * step
            centre = middle + view @ (place + move[:2] - (x, y))
            _lay(frame, sprite, np.asarray([[c, -s], [s, c]]), centre, size * 0.71)
        column, row = number * 37 % self._size, number * 61 % self._size
        grain = self._grain[row : row + self._size, column : column + self._size]
        lit = frame * (self._light * np.float32(gain)) + grain
        return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)


def _lay(frame: Sprite, sprite: Sprite, linear: NDArray[np.float64], centre: NDArray[np.float64], reach: float) -> None:
    """Lays a sprite over a part of the frame, in place."""
    x, y = centre.tolist()
    left, top = max(int(x - reach), 0), max(int(y - reach), 0)
    right, bottom = min(int(x + reach) + 1, len(frame)), min(int(y + reach) + 1, len(frame))
    if left >= right or top >= bottom:
        return
    matrix = np.empty((2, 3))
    matrix[:, :2] = linear
    matrix[:, 2] = (x - left, y - top) - linear.sum(axis=1) * (len(sprite) / 2)
    seen = cv2.warpAffine(sprite, matrix, (right - left, bottom - top))
    window = frame[top:bottom, left:right]
    clear = np.uint16(256) - seen[:, :, 3:]
    window[:] = np.minimum((window * clear >> np.uint16(8)) + seen[:, :, :3], 255)


def drawn_frames(settings: SynthSettings, number: int) -> Iterator[NDArray[np.uint8]]:
    """Yields the frames of a video in order, RGB, shape (size, size, 3), uint8."""
    plan = planned(settings, number)
    content = scene(generator(settings, number, 1), settings.size)
    # Neighbouring shots differ in brightness, as different takes do, by at least a step.
    levels = np.geomspace(0.55, 1.4, max(settings.shots, 2)) if settings.shots > 1 else np.ones(1)
    order = generator(settings, number, 2).permutation(len(levels))
    count = 0
    for shot, length in enumerate(plan.lengths.tolist()):
        taken = DrawnShot(content, generator(settings, number, 3 + shot), settings.size, float(levels[order[shot]]))
        opens, closes = shot > 0 and plan.fades[shot - 1], plan.fades[shot]
        for place in range(length):
            gain = 1.0
            if opens:
                gain = min(gain, place / FADE_FRAMES)
            if closes:
                gain = min(gain, (length - 1 - place) / FADE_FRAMES)
            yield taken.frame(place / max(length - 1, 1), gain, count)
            count += 1
