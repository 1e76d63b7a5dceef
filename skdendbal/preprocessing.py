"""Preprocessing of signed data for non-negative inputs."""

from numbers import Real
from typing import ClassVar

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from ._documentation import DocumentationLinkMixin

__all__ = ["OnOffSplitter"]


class OnOffSplitter(DocumentationLinkMixin, TransformerMixin, BaseEstimator):
    """Split signed features into non-negative ON and OFF channels.

    Like the ON and OFF cells of the retina, one channel responds to positive values and the
    other to negative values: `X` becomes the columns ``[g(X), g(-X)]``, where `g` is the
    activation.

    Parameters
    ----------
    activation : {"rectify", "sigmoid"}, default="rectify"
        Activation `g` of a channel: ``max(0, v)`` for "rectify", which is lossless, or
        ``1 / (1 + exp(-gain * (v - offset)))`` for "sigmoid", which is bounded by 1.
    gain : float, default=16.0
        Positive slope of the sigmoid, in inverse units of `X`. Unused by "rectify".
    offset : float, default=0.15
        Value at which the sigmoid is 1/2, in units of `X`. Unused by "rectify".

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit. Defined only when `X` has feature names that are
        all strings.

    See Also
    --------
    skdendbal.datasets.make_patches : Signed patches of natural images.

    Notes
    -----
    This estimator is stateless and need not be fitted, but the parameters are validated, and
    the number of features remembered, only in :meth:`fit`.

    The default `gain` and `offset` are those published for natural scenes [1]_, which were
    whitened to a variance of 0.1. Data of unit variance, such as those of
    :func:`~skdendbal.datasets.make_patches`, reach that variance when multiplied by
    ``0.1**0.5``.

    References
    ----------
    .. [1] F. A. Mikulasch, L. Rudelt and V. Priesemann, "Local dendritic balance enables
       learning of efficient representations in networks of spiking neurons", Proceedings of
       the National Academy of Sciences 118(50), e2021925118, 2021.

    Examples
    --------
    >>> from skdendbal.preprocessing import OnOffSplitter
    >>> splitter = OnOffSplitter()
    >>> X = splitter.fit_transform([[1.0, -2.0], [0.5, 3.0]])
    >>> X
    array([[1. , 0. , 0. , 2. ],
           [0.5, 3. , 0. , 0. ]])
    >>> splitter.inverse_transform(X)
    array([[ 1. , -2. ],
           [ 0.5,  3. ]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "activation": [StrOptions({"rectify", "sigmoid"})],
        "gain": [Interval(Real, 0, None, closed="neither")],
        "offset": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(self, activation="rectify", *, gain=16.0, offset=0.15):
        self.activation = activation
        self.gain = gain
        self.offset = offset

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Validate the parameters and remember the features of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signed data.
        y : None
            Ignored.

        Returns
        -------
        self : OnOffSplitter
            The transformer itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range or `X` is not finite 2-D data.

        Examples
        --------
        >>> from skdendbal.preprocessing import OnOffSplitter
        >>> OnOffSplitter("sigmoid").fit([[1.0, -2.0]])
        OnOffSplitter(activation='sigmoid')
        """
        validate_data(self, X, dtype=[np.float64, np.float32])
        return self

    def transform(self, X):
        """Split each feature into its ON and its OFF channel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signed data.

        Returns
        -------
        X_new : ndarray of shape (n_samples, 2 * n_features)
            Non-negative data: the ON channels, then the OFF channels; float32 if `X` is,
            otherwise float64.

        Raises
        ------
        ValueError
            If `X` is not finite 2-D data or has another number of features than in `fit`.

        Examples
        --------
        >>> from skdendbal.preprocessing import OnOffSplitter
        >>> OnOffSplitter("sigmoid").fit_transform([[0.15, -0.15]]).round(3)
        array([[0.5  , 0.008, 0.008, 0.5  ]])
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.hstack([self._activate(X), self._activate(-X)])

    def inverse_transform(self, X):
        """Merge ON and OFF channels into signed features.

        With "rectify" a feature is ON - OFF. With "sigmoid" it is
        ``(logit(ON) - logit(OFF)) / (2 * gain)``, the mean of the two inverted channels, which
        are first clipped to machine epsilon from 0 and 1 to keep the result finite. It recovers
        absolute values up to about ``36 / gain - |offset|``, with decreasing precision towards
        that limit, and never exceeds ``36.1 / gain`` (in float32, 16 takes the place of 36).

        Parameters
        ----------
        X : array-like of shape (n_samples, 2 * n_features)
            The ON channels, then the OFF channels.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Signed data; float32 if `X` is, otherwise float64.

        Raises
        ------
        ValueError
            If `X` is not finite 2-D data or does not have two channels per feature.

        Examples
        --------
        >>> from skdendbal.preprocessing import OnOffSplitter
        >>> OnOffSplitter().inverse_transform([[1.0, 0.0, 0.0, 2.0]])
        array([[ 1., -2.]])
        """
        X = check_array(X, dtype=[np.float64, np.float32], estimator=self, input_name="X")
        n_features = getattr(self, "n_features_in_", X.shape[1] // 2)
        if X.shape[1] != 2 * n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__}.inverse_transform is "
                f"expecting an ON and an OFF channel for each of {n_features} features."
            )
        scale = 1.0
        if self.activation == "sigmoid":
            eps = np.finfo(X.dtype).eps
            X = logit(np.clip(X, eps, 1 - eps))
            scale = 2 * float(self.gain)
        return (X[:, :n_features] - X[:, n_features:]) / scale

    def get_feature_names_out(self, input_features=None):
        """Get output feature names: the input names with "_on", then with "_off".

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Input feature names; None uses those seen during fit, or "x0", "x1", ...

        Returns
        -------
        feature_names_out : ndarray of str objects of shape (2 * n_features,)
            Names of the columns of the transformed data.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `input_features` does not match the features seen during fit.

        Examples
        --------
        >>> from skdendbal.preprocessing import OnOffSplitter
        >>> OnOffSplitter().fit([[1.0, -2.0]]).get_feature_names_out()
        array(['x0_on', 'x1_on', 'x0_off', 'x1_off'], dtype=object)
        """
        check_is_fitted(self, "n_features_in_")
        names = _check_feature_names_in(self, input_features)
        return np.concatenate([names + "_on", names + "_off"])

    def _activate(self, v):
        if self.activation == "rectify":
            return np.maximum(v, 0)
        # Python floats, unlike NumPy scalars, leave float32 data float32.
        return expit(float(self.gain) * (v - float(self.offset)))

    def __sklearn_tags__(self):
        """Declare that fit is optional and that float32 is preserved."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
