"""MFCC as one would make them with librosa: `mfcc.py SOUND OUTPUT.npy`."""

import sys

import librosa
import numpy as np

sound, output = sys.argv[1:]
y, sr = librosa.load(sound, sr=22050)
np.save(output, librosa.feature.mfcc(y=y, sr=sr, n_mfcc=13, n_fft=2048, hop_length=1024))
