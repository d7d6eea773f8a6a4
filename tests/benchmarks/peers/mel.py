"""A mel spectrogram as one would make it with librosa: `mel.py SOUND OUTPUT.npy`."""

import sys

import librosa
import numpy as np

sound, output = sys.argv[1:]
y, sr = librosa.load(sound, sr=8000)
S = librosa.feature.melspectrogram(y=y, sr=sr, n_fft=400, hop_length=400)
np.save(output, librosa.power_to_db(S, ref=np.max))
