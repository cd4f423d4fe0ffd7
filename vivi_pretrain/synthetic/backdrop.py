"""What is behind the objects: textured ground in one or two regions, larger than any shot sees."""

from __future__ import annotations

import cv2
import numpy as np

from vivi_pretrain.synthetic.objects import Sprite
from vivi_pretrain.synthetic.textures import TILE, Field, noise, tile


def backdrop(rng: np.random.Generator, palette: list[Field], side: int) -> Sprite:
    """Returns the ground as RGB, shape (side, side, 3), uint8."""
    x, y = np.meshgrid(np.linspace(-1, 1, side, dtype=np.float32), np.linspace(-1, 1, side, dtype=np.float32))
    first, second = (palette[int(number)] for number in rng.integers(len(palette), size=2))
    ground = _covered(rng, tile(rng, first, _near(rng, first)), x, y)
    region = _region(rng, x, y)
    if region is not None:
        other = _covered(rng, tile(rng, second, _near(rng, second)), x, y)
        ground = ground + region[:, :, None] * (other - ground)
    return np.asarray(np.rint(np.clip(ground, 0, 1) * 255), dtype=np.uint8)


def _near(rng: np.random.Generator, base: Field) -> Field:
    """Returns a colour that is not far from another, so that objects stand out from the ground."""
    near: Field = np.clip(base + rng.uniform(-0.3, 0.3) + rng.uniform(-0.1, 0.1, 3), 0, 1).astype(np.float32)
    return near


def _covered(rng: np.random.Generator, texture: Field, x: Field, y: Field) -> Field:
    """Returns ground covered with a tile at a random scale and angle."""
    angle = rng.uniform(0, 2 * np.pi)
    # Tiles on the ground from which 1.3 to 3 lie side by side.
    scale = TILE * rng.uniform(0.65, 1.5)
    u = (np.cos(angle) * x + np.sin(angle) * y) * scale
    v = (np.cos(angle) * y - np.sin(angle) * x) * scale
    wrapped = np.asarray(u % TILE, dtype=np.float32), np.asarray(v % TILE, dtype=np.float32)
    padded = cv2.copyMakeBorder(texture, 0, 1, 0, 1, cv2.BORDER_WRAP)
    covered = cv2.remap(padded, *wrapped, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(covered, dtype=np.float32)


def _opaque(distance: Field, sharp: np.float32) -> Field:
    opaque: Field = np.clip(distance * sharp + np.float32(0.5), 0, 1).astype(np.float32)
    return opaque


def _region(rng: np.random.Generator, x: Field, y: Field) -> Field | None:
    """Returns where a second texture covers the first, in 0..1: patches, a winding band, one side, or nowhere."""
    kind = rng.integers(4)
    if kind == 0:
        return None
    sharp = np.float32(len(x) / 4)
    if kind == 1:
        patches = cv2.resize(noise(rng, int(rng.integers(3, 7)), 2), x.shape, interpolation=cv2.INTER_LINEAR)
        return _opaque(np.asarray(patches, dtype=np.float32) - np.float32(0.5), sharp)
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    away = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    away = away + np.float32(rng.uniform(0, 0.2)) * np.sin(np.float32(rng.uniform(2, 8)) * along + np.float32(phase))
    if kind == 2:
        width = np.float32(rng.uniform(0.06, 0.25))
        return _opaque(width - np.abs(away), sharp)
    return _opaque(away, sharp)
