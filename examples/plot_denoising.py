"""
Denoising a photograph
======================

Noise has no parts that repeat, so a sparse code cannot hold it. A network learns from patches of a
noisy photograph, codes every patch with the spikes of a few neurons, and reads it out again; where
patches overlap, their reconstructions are averaged. The picture gains 6 dB, one more than with
orthogonal matching pursuit, which takes more than twice as long to code it.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay

photograph = load_sample_image("china.jpg")[120:300, 180:420].mean(axis=2) / 255.0
noisy = photograph + np.random.default_rng(0).normal(0.0, 0.1, photograph.shape)


def show(images):
    """Show images beside each other, with their peak signal-to-noise ratios."""
    _, axes = plt.subplots(1, len(images), figsize=(8, 3.2), layout="constrained")
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], title=name)
        if image is not photograph:
            decibels = -10.0 * np.log10(((image - photograph) ** 2).mean())
            ax.set_title(f"{name}: {decibels:.1f} dB")


show({"original": photograph, "noisy": noisy})

# %%
# With dendritic balance
# ----------------------
# The mean of a patch is subtracted before and added again after, since it is large and has no
# shape. Rates balance after 20 ms. Entries that contribute less than a twentieth of the mean power
# of a patch are dropped, because they mostly hold noise.
patches = extract_patches_2d(noisy, (8, 8)).reshape(-1, 64)
means = patches.mean(axis=1, keepdims=True)
scale = (patches - means).std()


def denoise(coder):
    """Return the image that a coder makes of the patches."""
    X = (patches - means) / scale
    coder.fit(X)
    start = time.perf_counter()
    codes = coder.transform(X)
    seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s to code, {(codes != 0).sum(axis=1).mean():.1f} active entries")
    denoised = (scale * coder.inverse_transform(codes) + means).reshape(-1, 8, 8)
    return reconstruct_from_patches_2d(denoised, noisy.shape)


coder = DendriticBalanceCoder(
    n_components=100,
    rate=4.0,
    max_iter=1,
    transform_time=20.0,
    code="balanced",
    min_contribution=0.05,
    random_state=0,
)
balanced = denoise(coder)
show({"noisy": noisy, "dendritic balance": balanced})
# sphinx_gallery_thumbnail_number = 2

# %%
# Neurons stand for edges, and for the patterns of roofs and windows.
DictionaryDisplay.from_estimator(coder)

# %%
# With matching pursuit
# ---------------------
# A dictionary of scikit-learn learns from the patches once, too. It has as many components, and a
# patch has as many active ones.
pursuit = MiniBatchDictionaryLearning(
    n_components=100,
    batch_size=256,
    max_iter=1,
    transform_algorithm="omp",
    transform_n_nonzero_coefs=3,
    random_state=0,
)
show({"dendritic balance": balanced, "matching pursuit": denoise(pursuit)})
plt.show()
