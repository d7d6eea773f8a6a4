"""The public corpora that `mer import` reads. A new one is a row here and a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Corpus:
    """A corpus by its name; its module is imported only when it is asked for.

    `module` has `read(folder) -> Imported`, which reads the corpus as it is published. `layout`
    names the files that it looks for, for the help.
    """

    name: str
    summary: str
    layout: str
    module: str

    def load_module(self) -> ModuleType:
        """Import the module that reads it."""
        return import_module(self.module)


CORPORA: Mapping[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "emotify",
            "Emotify: excerpts of four genres, felt emotions",
            "GENRE/N.mp3 and data.csv",
            "mertools.importers.emotify",
        ),
        Corpus(
            "emopia",
            "EMOPIA: clips of pop piano, quadrants",
            "midis/Qn_SONG_k.mid, and sound of the same names",
            "mertools.importers.emopia",
        ),
        Corpus(
            "deam",
            "DEAM: songs, valence and arousal, over time",
            "MEMD_audio/ID.mp3 and the annotations averaged per song",
            "mertools.importers.deam",
        ),
        Corpus(
            "pmemo",
            "PMEmo: choruses, valence and arousal, lyrics",
            "chorus/ID.mp3, annotations/, metadata.csv and lyrics/ID.lrc",
            "mertools.importers.pmemo",
        ),
        Corpus(
            "4qaed",
            "4QAED: clips of 30 seconds, quadrants",
            "Qn/MTnnnnnnnnnn.mp3 and panda_dataset_taffc_*.csv",
            "mertools.importers.four_quadrants",
        ),
        Corpus(
            "merge",
            "MERGE: clips of 30 seconds and lyrics, quadrants, valence and arousal",
            "Qn/ID.mp3 (bimodal: audio/Qn, lyrics/Qn), merge_*_metadata.csv, tvt_dataframes/",
            "mertools.importers.merge",
        ),
    )
}
