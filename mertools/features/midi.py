"""Standard MIDI files of note events: the same bytes as basic-pitch writes by pretty_midi."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from mertools.features.notes import BENDS_PER_SEMITONE, NoteEvent

TICKS_PER_BEAT = 220
BEAT_S = 0.5
TICK_S = BEAT_S / TICKS_PER_BEAT
ELECTRIC_PIANO = 4
BEND_PER_SEMITONE = 4096  # as synthesisers take it: 8,192 for two semitones
BEND_CENTRE = 8192

NOTE_ON, PROGRAM, BEND = 0x90, 0xC0, 0xE0  # status bytes, on the first channel
TEMPO_EVENT = b"\xff\x51\x03" + round(BEAT_S * 1e6).to_bytes(3, "big")
TIME_SIGNATURE_EVENT = b"\xff\x58\x04\x04\x02\x18\x08"  # 4/4
END_EVENT = b"\xff\x2f\x00"

_Event = tuple[int, tuple[int, ...], bytes]
"""A tick, what decides the order within it, and the message."""


def write_midi(notes: Sequence[NoteEvent]) -> bytes:
    """Write a MIDI file of notes: one instrument, 120 beats a minute, 2.3 ms a tick.

    Bends are those of notes that overlap with no other, as a channel bends as a whole; they are
    cropped to two semitones.
    """
    tracks = [_track([(0, TEMPO_EVENT), (0, TIME_SIGNATURE_EVENT)])]
    if notes:
        tracks.append(_track(_instrument_events(notes)))
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), TICKS_PER_BEAT)
    return header + b"".join(tracks)


def _instrument_events(notes: Sequence[NoteEvent]) -> list[tuple[int, bytes]]:
    """Put all events of an instrument in order, each with its tick."""
    events: list[_Event] = [(0, (0,), bytes([PROGRAM, ELECTRIC_PIANO]))]
    ordered = sorted(notes, key=lambda note: (note.start_s, note.end_s, note.pitch_midi))
    for note, is_alone in zip(ordered, _are_alone(ordered), strict=True):
        on, off = (note.pitch_midi, note.velocity), (note.pitch_midi, 0)
        events.append((_tick(note.start_s), (2, *on), bytes([NOTE_ON, *on])))
        events.append((_tick(note.end_s), (2, *off), bytes([NOTE_ON, *off])))
        if is_alone:
            events += _bend_events(note)
    # Of the events in a tick bends come first, and a note's end before the start of the next.
    return [(tick, content) for tick, _, content in sorted(events, key=lambda event: event[:2])]


def _bend_events(note: NoteEvent) -> Iterable[_Event]:
    times_s = np.linspace(note.start_s, note.end_s, len(note.bends))
    amounts = np.rint(np.array(note.bends) * BEND_PER_SEMITONE / BENDS_PER_SEMITONE).astype(int)
    amounts = np.clip(amounts, -BEND_CENTRE, BEND_CENTRE - 1)
    for time_s, amount in zip(times_s.tolist(), amounts.tolist(), strict=True):
        value = amount + BEND_CENTRE
        yield _tick(time_s), (1, amount), bytes([BEND, value & 0x7F, value >> 7])


def _are_alone(notes: Sequence[NoteEvent]) -> list[bool]:
    """Find which of the notes, sorted by their start, overlap with no other."""
    are_alone = [True] * len(notes)
    for i, note in enumerate(notes):
        for j in range(i + 1, len(notes)):
            if notes[j].start_s >= note.end_s:
                break
            are_alone[i] = are_alone[j] = False
    return are_alone


def _tick(time_s: float) -> int:
    return round(time_s / TICK_S)


def _track(events: Iterable[tuple[int, bytes]]) -> bytes:
    content = bytearray()
    former_tick, running_status = 0, -1
    for tick, event in events:
        content += _variable_length(tick - former_tick)
        # The status byte is left out where it is that of the event before.
        content += event[1:] if event[0] == running_status else event
        running_status = event[0] if event[0] < 0xF0 else -1
        former_tick = tick
    content += _variable_length(1) + END_EVENT
    return struct.pack(">4sI", b"MTrk", len(content)) + bytes(content)


def _variable_length(number: int) -> bytes:
    """Write a number in groups of seven bits, the highest first."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))
