#!/usr/bin/env python3
"""Make the keyword-spotting data set from nothing but espeak-ng and numpy.

Every utterance is synthesized, mixed with noise that is generated here too,
and turned into log-mel features.  The same espeak-ng and numpy versions give
the same bytes again.

    python3 make_data.py            writes into the folder of this script;
                                    the training clips go to build/
"""
import argparse
import io
import pathlib
import subprocess
import zipfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20240611

# --- what is said --------------------------------------------------------

KEYWORDS = ["yes", "no", "up", "down", "left",
            "right", "on", "off", "stop", "go"]
CLASSES = KEYWORDS + ["unknown"]
UNKNOWN = len(KEYWORDS)

# Words that must be answered with "unknown".  The two lists share no word, so
# the test asks for "none of the keywords" rather than for remembered words.
# Both contain near misses (gone/go, drop/stop, loft/left); neither has a homophone.
OTHER_TRAIN = ["cat", "house", "tree", "seven", "three", "happy", "bed",
               "bird", "dog", "wow", "one", "two", "four", "five", "note",
               "gone", "cup", "town", "light", "stock", "lift", "bus", "guess",
               "lap", "show", "coffee", "brown", "step", "ride", "apple",
               "window", "music", "less", "nose", "goat", "under", "man",
               "pen", "often", "laugh", "rice", "shop", "alarm", "near",
               "gold", "slow", "hero", "low", "yellow", "open"]
OTHER_TEST = ["six", "eight", "nine", "zero", "forward", "learn", "water",
              "green", "door", "drop", "loft", "paper", "night", "chess",
              "clown", "hello", "garden", "back", "pump", "fish"]

# --- who says it ---------------------------------------------------------

# Plain "en-gb" is left out: espeak-ng 1.51 ignores a +variant after it, which
# would put one and the same speaker on both sides of the split.  "en" is the
# same accent and honours the variant.
ACCENTS = ["en", "en-us", "en-029", "en-gb-scotland", "en-gb-x-rp",
           "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"]
# Variants that are retouched copies of each other (steph/steph2,
# edward/edward2, klatt/caleb ...) appear once at most.
SPEAKERS_TRAIN = ["Alex", "Alicia", "Andy", "Annie", "Denis", "Gene",
                  "Hugo", "Jacky", "Lee", "Mario", "Mike", "adam", "belinda",
                  "boris", "ed", "f1", "f2", "f4", "grandpa", "iven", "linda",
                  "m1", "m2", "m4", "m5", "m7", "max", "norbert", "steph",
                  "quincy", "klatt2", "whisper"]
SPEAKERS_TEST = ["f3", "f5", "m3", "m6", "m8", "Michael", "Diogo", "paul",
                 "aunty", "edward", "rob", "victor", "grandma", "miguel",
                 "sandro"]

# --- how it is heard -----------------------------------------------------

RATE = 16000            # Hz, after resampling
ESPEAK_RATE = 22050
WINDOW = 512            # 32 ms
HOP = 400               # 25 ms
FRAMES = 40
BANDS = 16
CLIP = WINDOW + HOP * (FRAMES - 1)      # samples, very nearly one second
LOWEST, HIGHEST = 80.0, 7600.0          # Hz, the span of the mel bands
LIMIT = 4.0             # features are clipped to +-LIMIT deviations

SNR_DB = (10.0, 30.0)   # drawn uniformly; this sets how hard the task is
GAIN_DB = (-6.0, 6.0)
NOISE_ONLY = 0.15       # share of the unknown clips in which nobody speaks

TRAIN_DRAWS = 2         # utterances per speaker, accent and keyword
TRAIN_CLIPS = 3         # noisy clips made of each of them
TEST_PER_CLASS = 100
CALIBRATION_CLIPS = 64


def synthesize(word, accent, speaker, speed, pitch):
    """One spoken word at RATE, without leading and trailing silence."""
    wav = subprocess.run(
        ["espeak-ng", "-v", f"{accent}+{speaker}", "-s", str(speed),
         "-p", str(pitch), "-z", "--stdout", word],
        stdout=subprocess.PIPE, check=True).stdout
    # The length in a streamed WAV header is a dummy, so it is not looked at.
    audio = np.frombuffer(wav[44:], "<i2").astype(np.float64) / 32768
    # Cutting the spectrum is an ideal low-pass and resampler in one step.
    spectrum = np.fft.rfft(audio)
    length = round(len(audio) * RATE / ESPEAK_RATE)
    audio = np.fft.irfft(spectrum[:length // 2 + 1], length)
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    audio = audio[loud[0]:loud[-1] + 1]
    return audio / np.sqrt(np.mean(audio ** 2))


def draw_utterance(rng, word, accent, speaker):
    return synthesize(word, accent, speaker,
                      int(rng.integers(125, 215)), int(rng.integers(25, 80)))


def place(rng, speech, length=CLIP):
    """Put speech at a random place of a silent clip; too long a word is cut."""
    speech = speech[:length]
    clip = np.zeros(length)
    start = rng.integers(0, length - len(speech) + 1)
    clip[start:start + len(speech)] = speech
    return clip


def noise(rng, others):
    """White noise, pink noise or three people talking at once; power 1."""
    kind = rng.integers(3)
    if kind == 2:
        # Two words each, because a second is longer than most words.
        clip = sum(place(rng, others[rng.integers(len(others))])
                   for _ in range(6))
    else:
        clip = rng.standard_normal(CLIP)
        if kind == 1:
            spectrum = np.fft.rfft(clip)
            bins = np.arange(len(spectrum))
            clip = np.fft.irfft(spectrum / np.sqrt(np.maximum(bins, 3)), CLIP)
    return clip / np.sqrt(np.mean(clip ** 2))


def noisy_clip(rng, speech, others, snr_db=None):
    """speech is None for a clip of noise alone."""
    if snr_db is None:
        snr_db = rng.uniform(*SNR_DB)
    clip = noise(rng, others) * 10 ** (-snr_db / 20)
    if speech is not None:
        clip = clip + place(rng, speech)
    return 0.1 * 10 ** (rng.uniform(*GAIN_DB) / 20) * clip


def mel_filters():
    """Triangles, equally wide and spaced on the mel scale: [bins, BANDS]."""
    def to_mel(hz):
        return 2595 * np.log10(1 + hz / 700)
    edges = np.linspace(to_mel(LOWEST), to_mel(HIGHEST), BANDS + 2)
    bins = to_mel(np.fft.rfftfreq(WINDOW, 1 / RATE))
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rise, fall))


FILTERS = mel_filters()
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def log_mel(clip):
    frames = np.lib.stride_tricks.sliding_window_view(clip, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * HANN)) ** 2
    # The floor is the hum of a microphone: silence must not become -infinity.
    return np.log(power @ FILTERS + 1e-3)


def check_split():
    """Two names can be one voice in espeak-ng, so compare what they say."""
    def heard(speakers):
        return {synthesize("right", accent, speaker, 160, 50).tobytes()
                for speaker in speakers for accent in ACCENTS}
    shared = heard(SPEAKERS_TRAIN) & heard(SPEAKERS_TEST)
    assert not shared, f"{len(shared)} voices are in both splits"


def train_split(rng):
    """Every speaker says every keyword in every accent."""
    others, spoken = [], []
    for speaker in SPEAKERS_TRAIN:
        for accent in ACCENTS:
            for label, word in enumerate(KEYWORDS * TRAIN_DRAWS):
                spoken.append((draw_utterance(rng, word, accent, speaker),
                               label % len(KEYWORDS)))
            for word in rng.choice(OTHER_TRAIN, 12, replace=False):
                others.append(draw_utterance(rng, word, accent, speaker))
    spoken += [(utterance, UNKNOWN) for utterance in others]
    return make_clips(rng, spoken * TRAIN_CLIPS, others)


def test_split(rng):
    """Speakers, accents and words in turn, so that each gets an equal share."""
    others = [draw_utterance(rng, word, rng.choice(ACCENTS), speaker)
              for word in OTHER_TEST for speaker in SPEAKERS_TEST]
    spoken = []
    for label, name in enumerate(CLASSES):
        for i in range(TEST_PER_CLASS):
            word = OTHER_TEST[i % len(OTHER_TEST)] if label == UNKNOWN else name
            speaker = SPEAKERS_TEST[(i + label) % len(SPEAKERS_TEST)]
            accent = ACCENTS[(i // 2 + label) % len(ACCENTS)]
            spoken.append((draw_utterance(rng, word, accent, speaker), label))
    return make_clips(rng, spoken, others)


def make_clips(rng, spoken, others):
    features, labels = [], []
    for speech, label in spoken:
        if label == UNKNOWN and rng.random() < NOISE_ONLY:
            speech = None
        features.append(log_mel(noisy_clip(rng, speech, others)))
        labels.append(label)
    return np.stack(features), np.array(labels, np.int64)


def save(path, **arrays):
    """np.savez_compressed, but with a fixed date: same data, same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array))
            entry = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    out = parser.parse_args().out
    (out / "build").mkdir(parents=True, exist_ok=True)

    check_split()
    train, train_labels = train_split(np.random.default_rng([SEED, 0]))
    test, test_labels = test_split(np.random.default_rng([SEED, 1]))

    # One mean and deviation for each band, from training alone.
    mean, deviation = train.mean((0, 1)), train.std((0, 1))

    def normalise(features):
        features = (features - mean) / deviation
        return np.clip(features, -LIMIT, LIMIT).astype(np.float16)

    train, test = normalise(train), normalise(test)

    rng = np.random.default_rng([SEED, 2])
    order = rng.permutation(len(train))
    # The classes in turn, each with its first clips of the shuffled order.
    by_class = [order[train_labels[order] == c] for c in range(len(CLASSES))]
    chosen = [by_class[i % len(CLASSES)][i // len(CLASSES)]
              for i in range(CALIBRATION_CLIPS)]

    save(out / "build" / "train.npz", features=train, labels=train_labels)
    save(out / "keywords_calib.npz",
         features=train[chosen], labels=train_labels[chosen])
    save(out / "keywords_test.npz", features=test, labels=test_labels)
    (out / "classes.txt").write_text("\n".join(CLASSES) + "\n")

    # What a device has to subtract and divide by before it asks the model.
    (out / "normalisation.txt").write_text(
        "# band mean deviation, of log(mel power + 0.001)\n" + "".join(
            f"{band} {m:.6f} {d:.6f}\n"
            for band, (m, d) in enumerate(zip(mean, deviation))))

    # One clear "yes" by a test speaker, for the C example: row-major
    # [FRAMES][BANDS], little-endian float32.
    speech = synthesize("yes", "en-us", "f3", 160, 50)
    clip = noisy_clip(rng, speech, [speech], snr_db=20)
    (out / "yes.f32").write_bytes(
        normalise(log_mel(clip)).astype("<f4").tobytes())

    for name, features in (("train", train), ("test", test)):
        edge = np.mean(np.abs(features) >= LIMIT)
        print(f"{name}: {features.shape}, clipped {100 * edge:.3f} %")


if __name__ == "__main__":
    main()
