"""
Denoising a photograph
======================

Noise has no parts that repeat, so a sparse code cannot hold it. A network learns from patches of a
noisy photograph, codes every patch with the spikes of a few neurons, and reads it out again; where
patches overlap, their reconstructions are averaged. Grey levels are between 0 and 1, and the root
mean squared error falls to a half.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from skdendbal import DendriticBalanceCoder
from skdendbal.display import DictionaryDisplay

photograph = load_sample_image("china.jpg")[120:300, 180:420].mean(axis=2) / 255.0
noisy = photograph + np.random.default_rng(0).normal(0.0, 0.1, photograph.shape)
patches = extract_patches_2d(noisy, (8, 8)).reshape(-1, 64)
means = patches.mean(axis=1, keepdims=True)
coder = DendriticBalanceCoder(n_components=100, rate=4.0, max_iter=1, random_state=0)
coder.fit(patches - means)

codes = coder.set_params(transform_time=5.0, code="balanced").transform(patches - means)
denoised = (codes @ coder.components_ + means).reshape(-1, 8, 8)
denoised = reconstruct_from_patches_2d(denoised, noisy.shape)

figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for ax, image, name in zip(
    axes, (photograph, noisy, denoised), ("original", "noisy", "denoised"), strict=True
):
    error = np.sqrt(((image - photograph) ** 2).mean())
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(title=f"{name}: error {error:.2f}", xticks=[], yticks=[])

# %%
# What was learned
# ----------------
# Neurons stand for edges, and for the patterns of roofs and windows. The mean of a patch was
# subtracted before and added again after, since it is large and has no shape.
display = DictionaryDisplay.from_estimator(coder)
display.ax_.set_title(f"{(codes > 0).sum(axis=1).mean():.1f} of 100 neurons are active in a patch")
plt.show()
