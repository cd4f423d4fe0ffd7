"""What the harness finds through the entry-point group ``vtab_harness.producers``: drawn videos, an index, shards.

They do what ``vivi synth``, ``vivi index`` and ``vivi shard`` do, with a process for each core.
"""

from __future__ import annotations

import os
from pathlib import Path

from vivi_pretrain.shards.settings import ShardSettings
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.video.settings import IndexSettings
from vtab_harness.api.errors import DataError


class SynthProducer:
    """Drawn videos with known shots; implements `vtab_harness.api.producers.Producer`."""

    summary = "drawn videos with known shots"
    takes = None
    settings = SynthSettings()

    def produce(self, settings: SynthSettings, source: Path | None, out: Path) -> None:
        """Draws the videos that are not there yet; see `vivi_pretrain.synthetic.synthesise.synthesise`."""
        from vivi_pretrain.cli.count_bar import CountBar
        from vivi_pretrain.synthetic.synthesise import synthesise

        with CountBar("drawing", "videos") as bar:
            synthesise(out, settings, os.cpu_count() or 1, bar)


class IndexProducer:
    """The shots of videos; implements `vtab_harness.api.producers.Producer`."""

    summary = "the shots of videos, as `vivi index` finds them"
    takes = "a video, a folder of videos, or a CSV with their paths"
    settings = IndexSettings()

    def produce(self, settings: IndexSettings, source: Path | None, out: Path) -> None:
        """Indexes the videos that are not indexed yet; see `vivi_pretrain.video.index.make_index`."""
        from vivi_pretrain.cli.count_bar import CountBar
        from vivi_pretrain.video.index import make_index
        from vivi_pretrain.video.listing import list_videos

        listing = list_videos([_required(source, self.takes)])
        workers = min(os.cpu_count() or 1, len(listing.entries))
        with CountBar("indexing", "videos") as bar:
            make_index(listing, out, settings, workers=workers, progress=bar)


class ShardProducer:
    """Frames of shots; implements `vtab_harness.api.producers.Producer`."""

    summary = "frames of indexed shots in tar files, as `vivi shard` writes them"
    takes = "the folder of an index (vivi-index)"
    settings = ShardSettings()

    def produce(self, settings: ShardSettings, source: Path | None, out: Path) -> None:
        """Writes the shards that are not there yet; see `vivi_pretrain.shards.writer.write_shards`."""
        from vivi_pretrain.cli.count_bar import CountBar
        from vivi_pretrain.shards.jobs import video_jobs
        from vivi_pretrain.shards.writer import write_shards
        from vivi_pretrain.video.index_file import read_index

        index = read_index(_required(source, self.takes))
        jobs = video_jobs(index.shots, index.root)
        with CountBar("sharding", "videos") as bar:
            write_shards(jobs, out, settings, index.settings_hash, os.cpu_count() or 1, bar)


def _required(source: Path | None, what: str) -> Path:
    if source is None:
        raise DataError(f"Nothing is said to make it from: it takes {what}.", "Name it with `source`.")
    return source


SYNTH, INDEX, SHARDS = SynthProducer(), IndexProducer(), ShardProducer()
