"""Objects of a scene: flat shapes with relief, and solids put together from balls and boxes.

An object is drawn once a shot, in the shot's pose and light, as a sprite: RGBA, uint8, colours multiplied by the
opacity, so that sprites can be scaled and turned without fringes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.synthetic.textures import TILE, Field, colour, tile

Sprite = NDArray[np.uint8]
_FINE = 2
"""Samples to a side of a sprite's pixel."""


@dataclass(frozen=True, slots=True)
class Light:
    """The light on the objects of a shot.

    Attributes:
        towards: Unit vector to the lamp: right, down, to the viewer; shape (3,).
        ambient: Share of the light that has no direction.
        shine: Strength of highlights.
    """

    towards: Field
    ambient: float
    shine: float

    def on(self, normals: Field, albedo: Field) -> Field:
        """Returns the colours of lit surfaces, shape (..., 3), given unit normals and colours of that shape."""
        facing = np.maximum(normals @ self.towards, 0)
        half = self.towards + np.asarray([0, 0, 1], dtype=np.float32)
        glint = np.maximum(normals @ (half / np.linalg.norm(half)), 0) ** 24
        brightness = np.float32(self.ambient) + np.float32(1.25 * (1 - self.ambient)) * facing
        lit: Field = albedo * brightness[..., None] + (np.float32(self.shine) * glint)[..., None]
        return lit


class Object(Protocol):
    """Something that can be drawn in any pose."""

    def sprite(self, side: int, pose: Field, light: Light) -> Sprite:
        """Returns it as RGBA, shape (side, side, 4), seen after a rotation (matrix of shape (3, 3)) in a light."""
        ...


def random_rotation(rng: np.random.Generator, tilt: float) -> Field:
    """Returns a rotation: a random turn about the line of sight, and a tilt of at most ``tilt`` radians."""
    axis, angle, turn = rng.uniform(0, 2 * np.pi), rng.uniform(0, tilt), rng.uniform(0, 2 * np.pi)
    vector = np.asarray([np.cos(axis), np.sin(axis), 0]) * angle
    tilted, _ = cv2.Rodrigues(vector)
    turned, _ = cv2.Rodrigues(np.asarray([0, 0, turn]))
    return np.asarray(tilted @ turned, dtype=np.float32)


def _grid(side: int) -> tuple[Field, Field]:
    place = ((np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / side) - 1) * np.float32(1.06)
    x, y = np.meshgrid(place, place)
    return x, y


def _averaged(colours: Field, opacity: Field, side: int) -> Sprite:
    """Returns the sprite of finely sampled colours and opacity."""
    fine = np.dstack([np.clip(colours, 0, 1) * opacity[:, :, None], opacity])
    small = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small * 255), dtype=np.uint8)


def _looked_up(texture: Field, u: Field, v: Field, scale: float) -> Field:
    """Returns the texture's colours at coordinates (u, v), shape (..., 3)."""
    column, row = ((np.floor(w * np.float32(scale)).astype(np.int64)) % TILE for w in (u, v))
    found: Field = texture[row, column]
    return found


class Flat:
    """A flat shape with rounded edges: a blob, star, polygon, ring, or strokes like those of a letter.

    Args:
        rng: Random numbers that settle its outline and texture.
        texture: Its tile.
    """

    _SIDE = 160

    def __init__(self, rng: np.random.Generator, texture: Field) -> None:
        x, y = _grid(self._SIDE)
        self._mask = self._outline(rng, x, y)
        away = cv2.distanceTransform(self._mask.astype(np.uint8), cv2.DIST_L2, 3)
        rim = np.float32(rng.uniform(6, 30))
        height = np.sqrt(1 - (1 - np.minimum(away / rim, 1)) ** 2) * rim
        height = cv2.GaussianBlur(height, (0, 0), 2)
        down, right = np.gradient(height)
        normals = np.dstack([-right, -down, np.ones_like(height)])
        self._normals = (normals / np.linalg.norm(normals, axis=2, keepdims=True)).astype(np.float32)
        self._albedo = _looked_up(texture, x, y, rng.uniform(30, 60))

    @staticmethod
    def _outline(rng: np.random.Generator, x: Field, y: Field) -> NDArray[np.bool_]:
        kind = rng.integers(5)
        if kind == 4:
            points = rng.uniform(-0.75, 0.75, (int(rng.integers(3, 6)), 2))
            mask = np.zeros(x.shape, dtype=np.uint8)
            corners = ((points / 1.06 + 1) * (x.shape[0] / 2)).astype(np.int32)
            cv2.polylines(mask, [corners], bool(rng.integers(2)), 1, thickness=int(rng.integers(16, 36)))
            return mask > 0
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        if kind == 0:
            waves = np.arange(1, 6)
            sizes = rng.uniform(0, 0.45, 5) / waves
            reach = 1 + sum(
                size * np.cos(wave * angle + phase)
                for size, wave, phase in zip(sizes, waves, rng.uniform(0, 2 * np.pi, 5), strict=True)
            )
        elif kind == 1:
            tips = int(rng.integers(4, 9))
            reach = 1 - rng.uniform(0.35, 0.65) * np.abs(((angle * tips / (2 * np.pi)) % 1) * 2 - 1)
        elif kind == 2:
            sides = int(rng.integers(3, 7))
            reach = 1 / np.cos((angle % (2 * np.pi / sides)) - np.pi / sides)
        else:
            return np.asarray((radius < 0.95) & (radius > rng.uniform(0.3, 0.65)))
        return np.asarray(radius < 0.97 * reach / reach.max())

    def sprite(self, side: int, pose: Field, light: Light) -> Sprite:
        """Returns it as RGBA, see `Object`."""
        fine = _FINE * side
        # Tilting a card foreshortens it: the upper left quarter of the rotation is the affine map.
        scale = fine / self._SIDE
        matrix = np.zeros((2, 3))
        matrix[:, :2] = pose[:2, :2] * scale
        matrix[:, 2] = fine / 2 - matrix[:, :2] @ np.full(2, self._SIDE / 2)
        lit = light.on(self._normals @ pose.T, self._albedo)
        source = np.dstack([lit, self._mask.astype(np.float32)])
        warped = cv2.warpAffine(source, matrix, (fine, fine), flags=cv2.INTER_LINEAR)
        seen = np.asarray(warped, dtype=np.float32)
        return _averaged(seen[:, :, :3], seen[:, :, 3], side)


class Solid:
    """Two to five balls and boxes, stuck together and traced with parallel rays.

    Args:
        rng: Random numbers that settle its parts.
        textures: Tiles for its parts.
    """

    def __init__(self, rng: np.random.Generator, textures: list[Field]) -> None:
        count = int(rng.integers(1, 6))
        centres = rng.uniform(-0.55, 0.55, (count, 3))
        centres[0] = 0
        halves = rng.uniform(0.12, 0.42, (count, 3))
        halves[0] = rng.uniform(0.3, 0.7, 3)
        reach = max(
            float(np.linalg.norm(centre) + np.linalg.norm(half)) for centre, half in zip(centres, halves, strict=True)
        )
        self._centres, self._halves = (np.asarray(value / reach * 1.15, np.float32) for value in (centres, halves))
        self._round = rng.uniform(size=count) < 0.5
        self._textures = [textures[int(rng.integers(len(textures)))] for _ in range(count)]
        self._scale = float(rng.uniform(30, 60))

    def sprite(self, side: int, pose: Field, light: Light) -> Sprite:
        """Returns it as RGBA, see `Object`."""
        fine = _FINE * side
        x, y = (part.ravel() for part in _grid(fine))
        nearest = np.full(fine * fine, -np.inf, dtype=np.float32)
        colours = np.zeros((fine * fine, 3), dtype=np.float32)
        # Rays run along -z; in the object's own axes they start at (x, y, 0) turned back by the pose.
        along = pose[2]
        start = np.outer(x, pose[0]) + np.outer(y, pose[1])
        for centre, half, ball, texture in zip(self._centres, self._halves, self._round, self._textures, strict=True):
            origin, ray = (start - centre) / half, along / half
            hit = _ball(origin, ray) if ball else _box(origin, ray)
            front = np.flatnonzero(hit > nearest)
            place = origin[front] + hit[front, None] * ray
            if ball:
                outward = place / half
            else:
                outward = np.zeros_like(place)
                face = np.argmax(np.abs(place), axis=1)
                outward[np.arange(len(face)), face] = np.sign(place[np.arange(len(face)), face])
            outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
            # A texture lies on the two axes that are most across to the surface.
            across = np.argmax(np.abs(outward), axis=1)
            rows = np.arange(len(front))
            point = place * half
            u, v = point[rows, (across + 1) % 3], point[rows, (across + 2) % 3]
            colours[front] = light.on(outward @ pose.T, _looked_up(texture, u, v, self._scale))
            nearest[front] = hit[front]
        opacity = np.isfinite(nearest).astype(np.float32)
        return _averaged(colours.reshape(fine, fine, 3), opacity.reshape(fine, fine), side)


def _ball(origin: Field, ray: Field) -> Field:
    """Returns how far towards the viewer rays meet the unit ball, -inf where they miss; shape (rays,)."""
    a, b = ray @ ray, origin @ ray
    root = b * b - a * (np.einsum("ij,ij->i", origin, origin) - 1)
    with np.errstate(invalid="ignore"):
        return np.where(root > 0, (np.sqrt(np.maximum(root, 0)) - b) / a, -np.inf).astype(np.float32)


def _box(origin: Field, ray: Field) -> Field:
    """Returns how far towards the viewer rays meet the box of half sizes 1, -inf where they miss; shape (rays,)."""
    step = np.where(np.abs(ray) < 1e-6, np.float32(1e-6), ray)
    ends = np.stack([(-1 - origin) / step, (1 - origin) / step])
    far, near = ends.max(axis=0).min(axis=1), ends.min(axis=0).max(axis=1)
    return np.where(far > near, far, -np.inf).astype(np.float32)


def random_object(rng: np.random.Generator, palette: list[Field]) -> Object:
    """Returns an object of a random kind in colours of a palette."""
    one, other = palette[int(rng.integers(len(palette)))], colour(rng, (0, 0.9), (0.1, 1))
    first = tile(rng, one, other)
    if rng.uniform() < 0.4:
        return Flat(rng, first)
    return Solid(rng, [first, tile(rng, other, palette[int(rng.integers(len(palette)))])])
