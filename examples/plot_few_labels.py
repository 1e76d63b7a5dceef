"""
A classifier with few labels
============================

A dictionary needs no labels. Where images are many but labels are few, a network learns from all
images, and a logistic regression learns from the codes of the labelled ones. Pooled codes of
patches are by far the best features: with two labels of each digit they are as good as the codes
of whole images with five, and as the pixels with five. Error bars are standard deviations over ten
choices of the labelled images.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skdendbal import DendriticBalanceCoder
from skdendbal.image import PatchCoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
whole = DendriticBalanceCoder(n_components=64, random_state=0).fit(X_train)  # no labels
patches = PatchCoder(patch_size=4, padding=1, grid=3, random_state=0).fit(X_train)
features = {
    "patches, pooled": (patches.transform(X_train), patches.transform(X_test)),
    "whole images": (whole.transform(X_train), whole.transform(X_test)),
    "pixels": (X_train, X_test),
}

n_labels = [2, 5, 10, 20, 50]  # of each digit
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, (train, test) in features.items():
    accuracies = []
    for n in n_labels:
        accuracies.append([])
        for seed in range(10):
            order = np.random.default_rng(seed).permutation(len(train))
            labelled = np.concatenate([order[y_train[order] == digit][:n] for digit in range(10)])
            classifier = LogisticRegression(max_iter=1000)
            classifier.fit(train[labelled] / train.std(), y_train[labelled])
            accuracies[-1].append(classifier.score(test / train.std(), y_test))
    ax.errorbar(n_labels, np.mean(accuracies, 1), np.std(accuracies, 1), marker="o", label=name)
ax.set(xscale="log", xlabel="labelled examples of each digit", ylabel="accuracy on test digits")
ax.set_xticks(n_labels, n_labels)
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()
