"""Features of images: the codes of their patches, pooled over regions."""

import itertools
import math
import operator
import time
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs, parallel_config
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted, validate_data

from ._documentation import DocumentationLinkMixin
from ._parallel import OneBlasThread, threads
from .coder import CallbackSupportMixin, DendriticBalanceCoder, _atomic

__all__ = ["PatchCoder"]

_MAX_PATCHES = 4096  # that are coded at once, but at least a row of them
_N_REPORTS = 10  # of a verbose call


class PatchCoder(
    DocumentationLinkMixin,
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Features of images: a transformer codes their patches, and the codes are pooled.

    Patches are cut from an image at regular distances and normalised, whitened if you like, and
    coded by any transformer that learns from rows without labels. Their codes are pooled over the
    cells of a grid. A linear classifier on such features is a strong baseline [1]_.

    Parameters
    ----------
    coder : transformer, default=None
        What codes patches. It is cloned and then fitted to patches, which are rows of
        ``patch_height * patch_width * n_channels`` numbers. None is ``DendriticBalanceCoder(64,
        transform_time=3.0, code="balanced", shrinkage=0.1)`` with the same `n_jobs`. Its
        parameters have names such as ``coder__n_components``. With ``coder__shrinkage=0.0``,
        `reconstruct` is more faithful. With ``coder__recruitment=True`` and hundreds of
        components, classifiers of natural images are better, and coding takes up to twice as long.
    patch_size : int or tuple of (int, int), default=7
        Height and width of a patch in pixels.
    stride : int, default=1
        Distance of neighbouring patches in pixels. Where the last patch of a row or column would
        be incomplete, there is none.
    padding : int, default=0
        Number of pixels by which an image is continued on every side. They have the values of the
        nearest pixels of the image.
    image_shape : tuple of int, default=None
        Height and width of an image, and the number of channels if there is more than one. One of
        these numbers may be -1 and follows from the others. None: the shape of the images in `X`,
        or square images with one channel if `X` holds flattened rows.
    normalize : {"contrast", "mean"} or None, default="contrast"
        "mean" subtracts the mean of a patch from it. "contrast" divides the result by
        ``sqrt(variance + contrast_floor_)``, too. None leaves patches as they are, which suits
        coders for data that are not negative.
    contrast_floor : float, default=0.1
        The constant of the contrast, relative to the mean variance of a training patch. Patches of
        lower contrast than that stay weak.
    whiten : bool or float, default=False
        Whether patches are whitened by a symmetric matrix (ZCA), after their normalisation. A
        number is added to the eigenvalues of their covariance, relative to the mean eigenvalue:
        with small numbers, directions of little variance come to count as much as others. True
        is 1.
    n_patches : int, default=40000
        Number of patches that `fit` draws from all images, without replacement. Blank ones among
        them are left out.
    pooling : {"bilinear", "mean", "sum", "max"}, default="bilinear"
        How the codes in a cell of the grid are pooled. "bilinear" is a weighted mean, whose
        weights fall linearly from the centre of the cell to zero at the centres of neighbouring
        cells. Features then hardly change when something in the image moves a little.
    grid : int or tuple of (int, int), default=4
        Number of rows and columns of cells. Cells have the same size, give or take a patch.
    power : float, default=0.5
        Exponent of pooled codes, or of their magnitude if they are negative. With 1 they stay as
        they are; with smaller exponents, rare and weak codes count for more.
    split_signs : bool, default=False
        Whether positive and negative parts of codes are pooled apart, as two components. Codes of
        opposite signs would otherwise cancel out.
    random_state : int, RandomState instance or None, default=None
        Source of the choice of patches, and of seeds for `coder` where its `random_state` is None.
    n_jobs : int, default=None
        Number of threads that share the images to code. If it is more than one, the fitted coder
        codes on one thread each. No result depends on it.
    verbose : bool, default=False
        Whether to print how many images have been coded. `fit` is followed by callbacks of
        scikit-learn 1.9, which go on to `coder`.

    Attributes
    ----------
    coder_ : transformer
        The fitted coder.
    image_shape_ : tuple of (int, int, int)
        Height, width and number of channels of an image.
    n_positions_ : tuple of (int, int)
        Number of rows and columns of patches in an image.
    contrast_floor_ : float
        `contrast_floor` in squared units of `X`.
    mean_ : ndarray of shape (n_patch_features,) or None
        Mean of the normalised patches, if they are whitened.
    whitening_ : ndarray of shape (n_patch_features, n_patch_features) or None
        Matrix that whitens normalised patches, from which the mean has been subtracted.
    unwhitening_ : ndarray of shape (n_patch_features, n_patch_features) or None
        The inverse of `whitening_`.
    n_features_in_ : int
        Number of features seen during fit: pixels times channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit. Defined only when `X` has feature names that are
        all strings.

    See Also
    --------
    sklearn.feature_extraction.image.PatchExtractor : Patches without codes.
    skdendbal.DendriticBalanceCoder : The default coder.

    Notes
    -----
    `transform` is a pure function of an image and the fitted estimator. An image is always coded
    by itself, so that neither other images, nor their order, nor `n_jobs` change a bit of its
    features, whatever the coder. Blank patches, which are zero after their normalisation, are
    coded only once in a call.

    Features are in the order grid row, grid column, component. They are thus flattened images
    whose channels are components, of the shape ``(*grid, n_components)``. With this `image_shape`,
    a second `PatchCoder` codes the features of the first.

    A failed or interrupted `fit` leaves the estimator as it was.

    References
    ----------
    .. [1] A. Coates, A. Ng and H. Lee, "An analysis of single-layer networks in unsupervised
       feature learning", Proceedings of the 14th International Conference on Artificial
       Intelligence and Statistics, PMLR 15, 215-223, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdendbal.image import PatchCoder
    >>> images = load_digits().images
    >>> coder = PatchCoder(patch_size=4, grid=2, random_state=0).fit(images[:900])
    >>> coder.transform(images).shape
    (1797, 256)
    >>> coder.get_feature_names_out()[[0, -1]]
    array(['patchcoder_r0_c0_component0', 'patchcoder_r1_c1_component63'],
          dtype=object)
    """

    coder_: BaseEstimator
    image_shape_: tuple
    contrast_floor_: float
    mean_: np.ndarray | None
    whitening_: np.ndarray | None
    unwhitening_: np.ndarray | None
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints: ClassVar = {
        "coder": [HasMethods(["fit", "transform"]), None],
        "patch_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "padding": [Interval(Integral, 0, None, closed="left")],
        "image_shape": [tuple, list, None],
        "normalize": [StrOptions({"contrast", "mean"}), None],
        "contrast_floor": [Interval(Real, 0, None, closed="neither")],
        "whiten": ["boolean", Interval(Real, 0, None, closed="neither")],
        "n_patches": [Interval(Integral, 1, None, closed="left")],
        "pooling": [StrOptions({"bilinear", "mean", "sum", "max"})],
        "grid": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "power": [Interval(Real, 0, 1, closed="right")],
        "split_signs": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        coder=None,
        *,
        # patches
        patch_size=7,
        stride=1,
        padding=0,
        image_shape=None,
        normalize="contrast",
        contrast_floor=0.1,
        whiten=False,
        n_patches=40_000,
        # features
        pooling="bilinear",
        grid=4,
        power=0.5,
        split_signs=False,
        # running
        random_state=None,
        n_jobs=None,
        verbose=False,
    ):
        self.coder = coder
        self.patch_size = patch_size
        self.stride = stride
        self.padding = padding
        self.image_shape = image_shape
        self.normalize = normalize
        self.contrast_floor = contrast_floor
        self.whiten = whiten
        self.n_patches = n_patches
        self.pooling = pooling
        self.grid = grid
        self.power = power
        self.split_signs = split_signs
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def set_params(self, **params):
        """Set parameters, those of `coder` included.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator by name. Those of `coder` have names such as
            ``coder__n_components``. If `coder` is None, the default coder takes its place.

        Returns
        -------
        self : PatchCoder
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        is_nested = any(name.startswith("coder__") for name in params)
        if is_nested and params.get("coder", self.coder) is None:
            params["coder"] = _default_coder(params.get("n_jobs", self.n_jobs))
        return super().set_params(**params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the coder to patches of images.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width), \
                (n_images, height, width, n_channels) or (n_images, n_features)
            Images, or images as flattened rows.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : PatchCoder
            The fitted estimator.

        Raises
        ------
        ValueError
            If `X` does not hold finite images of the shape `image_shape`, a patch is larger than
            an image, there are more cells of the grid than patches, or a parameter is out of its
            range.
        """
        context = self._init_callback_context(max_subtasks=1)
        with _atomic(self):
            X = self._validate(X, reset=True)
            patch_size = _as_pair(self.patch_size, "patch_size")
            self._layout = _Layout(self.image_shape_, patch_size, self.stride, self.padding)
            self._find_weights()  # refuses grids that are too fine
            random_state = check_random_state(self.random_state)
            patches = self._draw_patches(X, random_state)
            blank = self._are_blank(patches)
            patches = patches[:1] if blank.all() else patches[~blank]
            self.contrast_floor_ = self.contrast_floor * float(patches.var(axis=1).mean()) or 1.0
            self.mean_ = self.whitening_ = self.unwhitening_ = None
            patches = self._normalize(patches)[0]
            if self.whiten:
                self._fit_whitening(patches)
            coder, about = self._make_coder(random_state), {"estimator": self, "X": X, "y": y}
            context.call_on_fit_task_begin(**about)
            task = context.subcontext(task_name="fit-coder")
            with task.propagate_callback_context(coder):
                task.call_on_fit_task_begin(**about)
                self.coder_ = coder.fit(self._whiten(patches))
                task.call_on_fit_task_end(**about)
            context.call_on_fit_task_end(**about)
            self._n_components = len(self._find_blank_code())
        return self

    def transform(self, X):
        """Return the pooled codes of the patches of images.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width), \
                (n_images, height, width, n_channels) or (n_images, n_features)
            Images, or images as flattened rows.

        Returns
        -------
        features : ndarray of shape (n_images, n_features_out), float32
            Pooled codes, in the order grid row, grid column, component. With `split_signs`, each
            component has two features: its positive and its negative part.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not hold finite images of the shape of those of `fit`, or a parameter was
            set out of its range.
        """
        check_is_fitted(self)
        self._validate_params()
        X, blank_code = self._validate(X), self._find_blank_code()
        row_weights, column_weights = self._find_weights()

        def featurise(image):
            pooled = []
            for codes, _, _ in self._encode(image, blank_code):
                if self.split_signs:
                    codes = np.stack([np.maximum(codes, 0), np.maximum(-codes, 0)], axis=-1)
                    codes = codes.reshape(*codes.shape[:2], -1)
                pooled.append(self._pool(codes, column_weights))
            pooled = np.concatenate(pooled).swapaxes(0, 1)
            pooled = self._pool(pooled, row_weights).swapaxes(0, 1)
            if self.power != 1:
                pooled = np.copysign(np.abs(pooled) ** self.power, pooled)
            return pooled.ravel()

        features = np.empty((len(X), self._n_features_out), np.float32)
        self._apply_to_images(featurise, X, features)
        return features

    def encode_patches(self, X):
        """Return the codes of all patches of images, without pooling.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width), \
                (n_images, height, width, n_channels) or (n_images, n_features)
            Images, or images as flattened rows.

        Returns
        -------
        codes : ndarray of shape (n_images, n_rows, n_columns, n_components), float32
            Codes as `coder_` gives them, by image and position, see `n_positions_`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not hold finite images of the shape of those of `fit`.
        """
        check_is_fitted(self)
        X, blank_code = self._validate(X), self._find_blank_code()

        def encode(image):
            return np.concatenate([codes for codes, _, _ in self._encode(image, blank_code)])

        codes = np.empty((len(X), *self.n_positions_, self._n_components), np.float32)
        self._apply_to_images(encode, X, codes)
        return codes

    def reconstruct(self, X):
        """Code the patches of images, and put images together from what the codes stand for.

        What `coder_.inverse_transform` makes of a code is a patch once whitening is undone and
        the contrast and mean of the original patch are put back. A pixel is the mean of all
        patches that cover it. A pixel that no patch covers stays as it is.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width), \
                (n_images, height, width, n_channels) or (n_images, n_features)
            Images, or images as flattened rows.

        Returns
        -------
        X_reconstructed : ndarray of the shape of `X`, float64
            Images, or images as flattened rows.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` does not hold finite images of the shape of those of `fit`.
        AttributeError
            If `coder_` has no `inverse_transform`.

        Examples
        --------
        Codes with few spikes leave out the noise. Unknown pixels can be filled in by repeating
        ``filled = np.where(known, X, coder.reconstruct(filled))``.

        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.image import PatchCoder
        >>> images = load_digits().images
        >>> noisy = images + 4.0 * np.random.default_rng(0).standard_normal(images.shape)
        >>> sparse = DendriticBalanceCoder(32, rate=5.0, max_iter=1)
        >>> coder = PatchCoder(sparse, patch_size=5, grid=1, random_state=0).fit(noisy)
        >>> denoised = coder.reconstruct(noisy)
        >>> bool(np.std(denoised - images) < 0.75 * np.std(noisy - images))
        True
        """
        check_is_fitted(self)
        X = _as_array(X)
        shape = X.shape
        X, blank_code = self._validate(X), self._find_blank_code()

        def decode(codes, means, contrasts):
            patches = self.coder_.inverse_transform(codes.reshape(-1, self._n_components))
            return self._unwhiten(np.asarray(patches)) * contrasts + means

        def reconstruct(image):
            blocks = itertools.starmap(decode, self._encode(image, blank_code))
            return self._layout.average(blocks, image)

        images = np.empty(X.shape)
        self._apply_to_images(reconstruct, X, images)
        return images.reshape(shape)

    def get_feature_names_out(self, input_features=None):
        """Get output feature names such as "patchcoder_r0_c1_component5".

        They name the row and column of the cell in the grid, and the component. With
        `split_signs`, "_on" and "_off" follow for its positive and negative part.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        feature_names_out : ndarray of str objects of shape (n_features_out,)
            Names of the columns of the transformed data.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        n_rows, n_columns = _as_pair(self.grid, "grid")
        parts = ("_on", "_off") if self.split_signs else ("",)
        return np.array(
            [
                f"{type(self).__name__.lower()}_r{row}_c{column}_component{component}{part}"
                for row, column, component, part in itertools.product(
                    range(n_rows), range(n_columns), range(self._n_components), parts
                )
            ],
            dtype=object,
        )

    @property
    def n_positions_(self):
        """Number of rows and columns of patches in an image."""
        return self._layout.n_positions

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_n_components")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self):
        return math.prod(_as_pair(self.grid, "grid")) * self._n_components * (1 + self.split_signs)

    def _validate(self, X, *, reset=False):
        """Return images as flattened rows, whose numbers keep their type."""
        X = _as_array(X)
        shape = X.shape[1:]
        if len(shape) > 1:
            X = check_array(X, ensure_2d=False, allow_nd=True, estimator=self, input_name="X")
            X = X.reshape(len(X), math.prod(shape))
        X = validate_data(self, X, reset=reset)
        if reset:
            self.image_shape_ = self._find_image_shape(shape)
        expected = self.image_shape_, _without_one_channel(self.image_shape_)
        if len(shape) > 1 and shape not in expected:
            raise ValueError(
                f"X has images of shape {shape}, but {type(self).__name__} is expecting images of "
                f"shape {expected[1]}, or the same as flattened rows."
            )
        return X

    def _find_image_shape(self, shape):
        """Return height, width and channels of images, from their shape or that of a row."""
        if self.image_shape is None:
            if len(shape) == 1:
                side = math.isqrt(shape[0])
                if side**2 != shape[0]:
                    raise ValueError(
                        f"Rows of {shape[0]} features are no square images: give image_shape, "
                        "their height, width and, if there is more than one, number of channels."
                    )
                shape = (side, side)
            if len(shape) > 3:
                raise ValueError(
                    f"X has images of shape {shape}: an image has height, width and channels."
                )
            return (*shape, 1)[:3]
        n_features, known = math.prod(shape), list(self.image_shape)
        if len(known) not in (2, 3) or not all(isinstance(size, Integral) for size in known):
            raise ValueError(
                f"image_shape={self.image_shape!r} is not the height, width and, if there is more "
                "than one, number of channels of an image."
            )
        if known.count(-1) == 1:
            i = known.index(-1)
            known[i] = n_features // max(1, -math.prod(known))
        if min(known) < 1 or math.prod(known) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape!r} does not fit images of {n_features} features."
            )
        return (*map(int, known), 1)[:3]

    def _draw_patches(self, X, random_state):
        """Return patches from random positions of random images, as rows."""
        n_rows, n_columns = self.n_positions_
        n_all = len(X) * n_rows * n_columns
        chosen = sample_without_replacement(
            n_all, min(self.n_patches, n_all), random_state=random_state
        )
        images, positions = np.divmod(chosen, n_rows * n_columns)
        rows, columns = np.divmod(positions, n_columns)
        patches = np.empty((len(chosen), self._layout.n_features))
        order = np.argsort(images, kind="stable")
        for here in np.split(order, np.flatnonzero(np.diff(images[order])) + 1):
            windows = self._layout.windows(X[images[here[0]]])
            patches[here] = self._layout.flatten(windows[rows[here], columns[here]])
        return patches

    def _are_blank(self, patches):
        """Tell which patches are zero once they are normalised."""
        if self.normalize is None:
            return ~patches.any(axis=1)
        return patches.min(axis=1) == patches.max(axis=1)

    def _normalize(self, patches):
        """Return normalised patches, with the means and contrasts taken out of them."""
        if self.normalize is None:
            return patches, 0.0, 1.0
        means = patches.mean(axis=1, keepdims=True)
        patches = patches - means
        if self.normalize == "mean":
            return patches, means, 1.0
        contrasts = np.square(patches).mean(axis=1, keepdims=True)
        contrasts = np.sqrt(contrasts + self.contrast_floor_)
        patches /= contrasts
        return patches, means, contrasts

    @OneBlasThread()
    def _fit_whitening(self, patches):
        self.mean_ = patches.mean(axis=0)
        deviations = patches - self.mean_
        variances, axes = np.linalg.eigh(deviations.T @ deviations / len(patches))
        variances = np.maximum(variances, 0.0)
        spreads = np.sqrt(variances + (self.whiten * variances.mean() or 1.0))
        self.whitening_ = (axes / spreads) @ axes.T
        self.unwhitening_ = (axes * spreads) @ axes.T

    def _whiten(self, patches):
        return patches if self.whitening_ is None else (patches - self.mean_) @ self.whitening_

    def _unwhiten(self, patches):
        return patches if self.whitening_ is None else patches @ self.unwhitening_ + self.mean_

    def _make_coder(self, random_state):
        """Return the coder to fit, without open seeds."""
        coder = _default_coder(self.n_jobs) if self.coder is None else clone(self.coder)
        for name, value in coder.get_params().items():
            if name.rpartition("__")[2] == "random_state" and value is None:
                coder.set_params(**{name: random_state.randint(np.iinfo(np.int32).max)})
        return coder

    def _find_weights(self):
        """Return the weights of patches in the rows, and in the columns, of the grid."""
        grid = _as_pair(self.grid, "grid")
        if any(map(operator.gt, grid, self.n_positions_)):
            raise ValueError(
                f"grid={self.grid!r} has more cells than the {self.n_positions_[0]} rows and "
                f"{self.n_positions_[1]} columns of patches: take fewer."
            )
        return [
            _cell_weights(*sizes, self.pooling)
            for sizes in zip(grid, self.n_positions_, strict=True)
        ]

    def _pool(self, codes, weights):
        """Pool codes along their second axis."""
        if self.pooling == "max":
            return np.maximum.reduceat(codes, weights.argmax(axis=1), axis=1)
        return weights @ codes

    def _codes(self, patches):
        codes = self.coder_.transform(patches)
        return np.asarray(codes.toarray() if issparse(codes) else codes, dtype=np.float64)

    @OneBlasThread()
    def _find_blank_code(self):
        """Return the code of a blank patch."""
        blank = np.zeros((1, self._layout.n_features))
        return self._codes(self._whiten(self._normalize(blank)[0]))[0]

    def _encode(self, image, blank_code):
        """Yield codes, means and contrasts of the patches of an image, some rows at a time.

        Codes have the shape (n_rows, n_columns, n_components), means and contrasts are columns.
        """
        n_rows, n_columns = self.n_positions_
        windows = self._layout.windows(image)
        n_at_once = max(1, _MAX_PATCHES // n_columns)
        for top in range(0, n_rows, n_at_once):
            patches = self._layout.flatten(windows[top : top + n_at_once])
            coded = ~self._are_blank(patches)
            patches, means, contrasts = self._normalize(patches)
            codes = np.empty((len(patches), len(blank_code)))
            codes[~coded] = blank_code
            if coded.any():
                codes[coded] = self._codes(self._whiten(patches[coded]))
            yield codes.reshape(-1, n_columns, len(blank_code)), means, contrasts

    @OneBlasThread()
    def _apply_to_images(self, function, X, results):
        """Fill an array of results of a function with those of flattened images."""
        n_jobs = min(effective_n_jobs(self.n_jobs), len(X))

        def apply_to(i):
            # On several threads the coder must not start threads of its own.
            with parallel_config("sequential") if n_jobs > 1 else nullcontext():
                results[i] = function(X[i])

        start = time.perf_counter()
        with threads(n_jobs) as apply:
            n_at_once = math.ceil(len(X) / _N_REPORTS) if self.verbose else len(X)
            for block in gen_batches(len(X), n_at_once):
                for _ in apply(apply_to, zip(range(block.start, block.stop), strict=True)):
                    pass
                if self.verbose:
                    print(
                        f"[{type(self).__name__}] {block.stop} of {len(X)} images, "
                        f"{time.perf_counter() - start:.1f} s"
                    )


@dataclass(frozen=True)
class _Layout:
    """Where the patches of an image lie: at `n_positions` rows and columns."""

    image_shape: tuple  # height, width, channels
    patch_size: tuple  # height, width
    stride: int
    padding: int

    def __post_init__(self):
        if min(self.n_positions) < 1:
            raise ValueError(
                f"Patches of patch_size={self.patch_size} are larger than images of shape "
                f"{_without_one_channel(self.image_shape)} with padding={self.padding}."
            )

    @property
    def n_positions(self):
        """Number of rows and columns of patches."""
        sides = zip(self.image_shape[:2], self.patch_size, strict=True)
        return tuple((side + 2 * self.padding - size) // self.stride + 1 for side, size in sides)

    @property
    def n_features(self):
        """Number of entries of a patch."""
        return math.prod(self.patch_size) * self.image_shape[2]

    def windows(self, image):
        """Return a view of the patches of a flattened image, by row and column."""
        image = image.reshape(self.image_shape)
        if self.padding > 0:
            image = np.pad(image, [(self.padding, self.padding)] * 2 + [(0, 0)], mode="edge")
        windows = sliding_window_view(image, self.patch_size, axis=(0, 1))
        return windows[:: self.stride, :: self.stride]

    def flatten(self, windows):
        """Return patches of such a view as rows of height times width times channels."""
        patches = np.moveaxis(windows, -3, -1).reshape(-1, self.n_features)
        return patches.astype(np.float64, copy=False)

    def average(self, blocks, image):
        """Return a flattened image from its patches, and from the image where there are none.

        Patches come in blocks of whole rows of positions.
        """
        height, width, n_channels = self.image_shape
        n_columns, padding = self.n_positions[1], self.padding
        sums = np.zeros((height + 2 * padding, width + 2 * padding, n_channels))
        counts = np.zeros_like(sums)
        top = 0
        for patches in blocks:
            patches = patches.reshape(-1, n_columns, *self.patch_size, n_channels)
            bottom = top + self.stride * len(patches)
            for i, j in np.ndindex(self.patch_size):
                rows = slice(top + i, bottom + i, self.stride)
                columns = slice(j, self.stride * n_columns + j, self.stride)
                sums[rows, columns][: len(patches), :n_columns] += patches[:, :, i, j]
                counts[rows, columns][: len(patches), :n_columns] += 1
            top = bottom
        inner = slice(padding, padding + height), slice(padding, padding + width)
        sums, counts = sums[inner].ravel(), counts[inner].ravel()
        return np.where(counts > 0, sums / np.maximum(counts, 1), image)


def _cell_weights(n_cells, n_patches, pooling):
    """Return weights of patches in cells, along one side: an array (n_cells, n_patches)."""
    cells = np.arange(n_cells)[:, None]
    places = (np.arange(n_patches) + 0.5) * n_cells / n_patches
    if pooling == "bilinear":
        weights = np.maximum(1.0 - np.abs(places - cells - 0.5), 0.0)
    else:
        weights = (places.astype(int) == cells).astype(np.float64)
    return weights if pooling == "sum" else weights / weights.sum(axis=1, keepdims=True)


def _default_coder(n_jobs):
    return DendriticBalanceCoder(
        64, transform_time=3.0, code="balanced", shrinkage=0.1, n_jobs=n_jobs
    )


def _as_array(X):
    """Return what has a shape, for example a data frame, as it is, and all else as an array."""
    return X if hasattr(X, "shape") else np.asarray(X)


def _as_pair(value, name):
    """Return a pair of numbers that may be given as one."""
    pair = (value, value) if isinstance(value, Integral) else tuple(value)
    if len(pair) != 2 or not all(isinstance(n, Integral) and n > 0 for n in pair):
        raise ValueError(f"{name}={value!r} is no pair of positive integers.")
    return pair


def _without_one_channel(shape):
    return shape[:2] if shape[2] == 1 else shape
