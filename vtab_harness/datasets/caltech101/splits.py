"""Caltech101's class folders, and the membership of its train and test splits.

TensorFlow Datasets draws 30 files of each class folder for ``train`` with a fixed seed and leaves the rest to ``test``.
The draw follows the order in which the preparing machine lists folders and files, so it gives other examples on other
machines. Here it is made over the sorted listing (variant ``caltech-sorted``), which is what TFDS gives on a
machine that lists in that order: the stray file ``BACKGROUND_Google/tmp`` of the published archive therefore stays in
the pool. It is not drawn, which leaves the 3060 and 6084 examples that VTAB expects; without it in the pool, every
class would be drawn differently.
"""

from __future__ import annotations

from collections.abc import Mapping

_SIZES = """
accordion:55 airplanes:800 anchor:42 ant:42 BACKGROUND_Google:467 barrel:47 bass:54 beaver:46 binocular:33 bonsai:128
brain:98 brontosaurus:43 buddha:85 butterfly:91 camera:50 cannon:43 car_side:123 ceiling_fan:47 cellphone:59 chair:62
chandelier:107 cougar_body:47 cougar_face:69 crab:73 crayfish:70 crocodile:50 crocodile_head:51 cup:57 dalmatian:67
dollar_bill:52 dolphin:65 dragonfly:68 electric_guitar:75 elephant:64 emu:53 euphonium:64 ewer:85 Faces:435
Faces_easy:435 ferry:67 flamingo:67 flamingo_head:45 garfield:34 gerenuk:34 gramophone:51 grand_piano:99 hawksbill:100
headphone:42 hedgehog:54 helicopter:88 ibis:80 inline_skate:31 joshua_tree:64 kangaroo:86 ketch:114 lamp:61 laptop:81
Leopards:200 llama:78 lobster:41 lotus:66 mandolin:43 mayfly:40 menorah:87 metronome:32 minaret:76 Motorbikes:798
nautilus:55 octopus:35 okapi:39 pagoda:47 panda:38 pigeon:45 pizza:53 platypus:34 pyramid:57 revolver:82 rhino:59
rooster:49 saxophone:40 schooner:63 scissors:39 scorpion:84 sea_horse:57 snoopy:35 soccer_ball:64 stapler:45
starfish:86 stegosaurus:59 stop_sign:64 strawberry:35 sunflower:85 tick:49 trilobite:86 umbrella:75 watch:239
water_lilly:37 wheelchair:59 wild_cat:34 windsor_chair:56 wrench:39 yin_yang:60
"""
CLASS_SIZES: Mapping[str, int] = {name: int(size) for name, size in (each.split(":") for each in _SIZES.split())}
"""Class folder -> number of its images, which are called ``image_0001.jpg`` and so on; in label order (lower-cased
names, alphabetical)."""

STRAYS: Mapping[str, tuple[str, ...]] = {"BACKGROUND_Google": ("tmp",)}
"""Files of the published archive that are no images."""


TRAIN_PER_CLASS = 30
_SEED = 1234


def membership(sizes: Mapping[str, int], strays: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Draws the splits.

    Args:
        sizes: Images in each class folder.
        strays: Other files in class folders, which take part in the draw without becoming examples.

    Returns:
        For ``train`` and ``test`` the keys ``<ClassDir>/<file>.jpg``, by folder and file name.
    """
    # The declaration of the set is imported without it.
    import numpy as np

    # The legacy generator: its stream never changes between NumPy versions, and it is the one TFDS draws from.
    random = np.random.RandomState(_SEED)
    keys: dict[str, list[str]] = {"train": [], "test": []}
    for folder in sorted(sizes):
        images = [f"image_{number:04d}.jpg" for number in range(1, sizes[folder] + 1)]
        files = sorted([*images, *strays.get(folder, ())])
        drawn = set(random.choice(files, TRAIN_PER_CLASS, replace=False).tolist())
        for image in images:
            keys["train" if image in drawn else "test"].append(f"{folder}/{image}")
    return keys
