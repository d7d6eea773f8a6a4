#!/usr/bin/env bash
# A whole study as a shell script: from songs and ratings to a trained model, its scores and its
# predictions. The songs are short synthesised clips and the ratings are simulated (README.md here),
# so it shows how the commands chain, and nothing about music.
#
# All files go to out/ beside this script. MER names another mer than the checkout's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mer() { "${MER:-../bin/mer}" "$@"; }

mer --help >/dev/null # in a bare checkout this creates the environment, once for all calls
mkdir -p out

echo '== Songs to features' >&2
find clips -type f | sort |
    mer convert - -o out/wav --sample-rate 8000 |
    mer segment - |
    tee out/segments.csv |
    mer featurize - --kind handcrafted --kind mel -o out/features.h5

echo '== Ratings to labels' >&2
mer aggregate-labels annotations.csv --max-mad arousal=0.7 --target arousal \
    --test-fraction 0.2 --seed 1 -o out/labels.csv

echo '== Features and labels to a model' >&2
mer train svm --features out/features.h5 --labels out/labels.csv --target arousal --cv 5 \
    -o out/arousal.skops

echo '== The scores of the model on clips that it did not learn from' >&2
mer predict -m out/arousal.skops out/features.h5 |
    tee out/predictions.csv |
    mer evaluate - --labels out/labels.csv --split test -o out/metrics.json

echo '== Predictions directly from the sound files' >&2
mer predict -m out/arousal.skops --level track clips

mer validate --quiet out/segments.csv out/features.h5 out/labels.csv out/arousal.skops \
    out/predictions.csv out/metrics.json
