"""A project of Label Studio: tasks to rate, and the labelling interface that rates them.

`label_studio` reads the project's exports back. The formats are Label Studio's own: a task is an
object with `data` (https://labelstud.io/guide/tasks), the interface is XML
(https://labelstud.io/tags).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from mertools.artifacts.rows import Segment, Track
from mertools.errors import InputError
from mertools.targets.scale import Classes, Range, Target, format_number

LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio addresses a file below the folder that it serves."""

MOST_STARS = 10
SOUND = "sound"


def make_task(source: Track | Segment, root: Path) -> dict[str, dict[str, object]]:
    """Make the task of a track or a segment, whose sound lies below `root`.

    Raises InputError where it does not.
    """
    path = Path(source.path).absolute()
    if not path.is_relative_to(root):
        raise InputError(path, f"is not below {root}", "give a --root that all sound is below")
    data: dict[str, object] = {
        "track_id": source.track_id,
        # By its bytes, as a file's name need not be UTF-8.
        "audio": LOCAL_FILES + quote(os.fsencode(path.relative_to(root))),
        "title": source.track_id,
    }
    if isinstance(source, Segment):
        begin, end = (_clock(s) for s in (source.start, source.start + source.duration))
        data["title"] = f"{source.track_id}, only from {begin} to {end}"
        data["start"], data["duration"] = source.start, source.duration
    return {"data": data}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}".removesuffix(".00")


def make_config(targets: Sequence[Target]) -> str:
    """Make the labelling interface: the sound, and a control named after each target.

    Classes are a single choice. A range of whole numbers from 1 is stars, any other a number.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$title")
    ElementTree.SubElement(view, "Audio", name=SOUND, value="$audio")
    for target in targets:
        ElementTree.SubElement(view, "Header", value=target.name)
        control = {"name": target.name, "toName": SOUND, "required": "true"}
        if isinstance(target.scale, Classes):
            of_choices = control | {"choice": "single", "showInline": "true"}
            choices = ElementTree.SubElement(view, "Choices", of_choices)
            for name in target.classes:
                ElementTree.SubElement(choices, "Choice", value=name)
        elif _are_stars(target.scale):
            ElementTree.SubElement(
                view, "Rating", control | {"maxRating": f"{target.scale.high:g}"}
            )
        else:
            ElementTree.SubElement(view, "Number", control | _limits(target.scale))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _are_stars(scale: Range) -> bool:
    return scale.low == 1 and scale.high in range(2, MOST_STARS + 1)


def _limits(scale: Range) -> dict[str, str]:
    # A step of a hundredth of the range or a little less, which is a power of ten.
    step = 10.0 ** math.floor(math.log10((scale.high - scale.low) / 100))
    return {
        "min": format_number(scale.low),
        "max": format_number(scale.high),
        "step": format_number(step),
    }
