"""The course of learning."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._style import legend_above, make_axes, rule_colour, text_colour

_NOISE = {"color": "0.5", "alpha": 0.3, "linewidth": 0.0}


class LearningDisplay:
    """Loss while learning, with the noise level falling behind it.

    A second panel shows, where they were measured, the explained variance and how far learned
    dendritic weights balance the input: their correlation r with those of exact balance. The
    number of stimuli has a logarithmic axis, because most is learned early.

    It is recommended to use :meth:`from_estimator` or :meth:`from_monitor`. All parameters are
    stored as attributes.

    Parameters
    ----------
    n_presentations : array-like of shape (n_points,)
        Numbers of stimuli presented.
    losses : array-like of shape (n_points,)
        Decoder losses.
    noise_levels : array-like of shape (n_points,)
        Noise levels sigma, in units of the scaled input.
    explained_variances : array-like of shape (n_points,), default=None
        Explained variances, nan where they were not measured. None: they are not shown.
    snapshots_at : array-like of shape (n_snapshots,), default=None
        Numbers of stimuli presented at which weights were looked at.
    balance_correlations : array-like of shape (n_snapshots,), default=None
        Correlations of the dendritic weights W^d with -F D, nan if there are none. None: they are
        not shown.
    rule : str or Rule, default=None
        Learning rule, whose colour the loss has. None: the colour of text.

    Attributes
    ----------
    loss_line_ : matplotlib Line2D
        Loss.
    noise_area_ : matplotlib PolyCollection
        Area below the noise level.
    explained_variance_line_ : matplotlib Line2D
        Explained variance, or None.
    balance_line_ : matplotlib Line2D
        Correlation of dendritic weights with those of exact balance, or None.
    ax_ : matplotlib Axes
        Axes with the loss.
    noise_ax_ : matplotlib Axes
        Axes with the noise level, at the right of the same panel.
    measures_ax_ : matplotlib Axes
        Axes with explained variance and correlation, or None.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    DictionaryHistoryDisplay : The dictionary meanwhile.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from skdendbal.display import LearningDisplay
    >>> ax = Figure().subplots()
    >>> display = LearningDisplay([64, 512, 4096], [0.5, 0.2, 0.1], [0.3, 0.1, 0.05]).plot(ax)
    >>> display.ax_.get_xlabel(), display.noise_ax_.get_ylabel()
    ('stimuli', 'noise level (shaded)')
    """

    def __init__(
        self,
        n_presentations,
        losses,
        noise_levels,
        *,
        explained_variances=None,
        snapshots_at=None,
        balance_correlations=None,
        rule=None,
    ):
        self.n_presentations = n_presentations
        self.losses = losses
        self.noise_levels = noise_levels
        self.explained_variances = explained_variances
        self.snapshots_at = snapshots_at
        self.balance_correlations = balance_correlations
        self.rule = rule

    def plot(self, ax=None):
        """Draw the course of learning.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of two of them, default=None
            Axes to draw on. On a single one, explained variance and correlation are left out. None
            creates a new figure.

        Returns
        -------
        display : LearningDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is another number of axes.
        ImportError
            If matplotlib is not installed.
        """
        has_measures = _is_any_finite(self.explained_variances, self.balance_correlations)
        n_panels = 2 if has_measures and (ax is None or np.size(ax) > 1) else 1
        axes = make_axes(
            ax,
            type(self).__name__,
            shape=(n_panels, 1),
            size=lambda width: width * (0.3 + 0.4 * n_panels),
        )
        self.ax_, *others = np.ravel(axes)
        self.measures_ax_, self.figure_ = others[0] if others else None, self.ax_.figure
        colour = text_colour() if self.rule is None else rule_colour(self.rule)

        (self.loss_line_,) = self.ax_.plot(
            self.n_presentations, self.losses, color=colour, linewidth=1.2
        )
        self.noise_ax_ = self.ax_.twinx()
        self.noise_area_ = self.noise_ax_.fill_between(
            self.n_presentations, self.noise_levels, **_NOISE
        )
        self.ax_.set_zorder(self.noise_ax_.get_zorder() + 1.0)  # the noise is behind the loss
        self.ax_.patch.set_visible(False)
        self.noise_ax_.patch.set_visible(True)
        for each in (self.ax_, self.noise_ax_):
            each.margins(x=0.0)
        if len(self.n_presentations) > 0:  # no axis of none can be logarithmic
            self.ax_.set_xscale("log")
        self.ax_.set(ylim=(0.0, None), ylabel="decoder loss")
        self.noise_ax_.set(ylim=(0.0, None), ylabel="noise level (shaded)")

        self.explained_variance_line_ = self.balance_line_ = None
        if self.measures_ax_ is not None:
            self.explained_variance_line_ = self._draw_measure(
                self.n_presentations, self.explained_variances, "explained variance", color=colour
            )
            self.balance_line_ = self._draw_measure(
                self.snapshots_at,
                self.balance_correlations,
                "$r(W^d, -FD)$",
                color=text_colour(),
                linestyle="--",
            )
            self.measures_ax_.set(xscale="log", xlim=self.ax_.get_xlim())
            legend_above(self.measures_ax_)
            self.ax_.tick_params(labelbottom=False)
        (self.measures_ax_ or self.ax_).set_xlabel("stimuli")
        return self

    def _draw_measure(self, n_presentations, values, label, **style):
        """Draw a measure at the points where it was taken; return None if there are none."""
        if not _is_any_finite(values):
            return None
        is_there = np.isfinite(values)
        n_presentations, values = np.asarray(n_presentations), np.asarray(values)
        (line,) = self.measures_ax_.plot(
            n_presentations[is_there], values[is_there], label=label, marker=".", **style
        )
        return line

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw loss and noise level of a fitted coder.

        Parameters
        ----------
        estimator : DendriticBalanceCoder
            Fitted coder. Points are those of its `loss_curve_`, about one for every hundredth of
            the horizon; the noise is that of its present settings.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        display : LearningDisplay
            Display with the course of learning drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import LearningDisplay
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, max_iter=2, random_state=0).fit(X)
        >>> display = LearningDisplay.from_estimator(coder)
        >>> len(display.n_presentations) == len(coder.loss_curve_)
        True
        """
        check_is_fitted(estimator)
        settings, losses = estimator.settings_, estimator.loss_curve_
        per_point = settings.updates_per_point * settings.batch_size
        n_presentations = per_point * np.arange(1, len(losses) + 1)
        noise_levels = [settings.noise.level(n / settings.horizon) for n in n_presentations]
        return cls(n_presentations, losses, noise_levels, rule=settings.rule).plot(ax)

    @classmethod
    def from_monitor(cls, monitor, *, rule=None, ax=None):
        """Draw what a monitor has measured while a coder learned.

        Parameters
        ----------
        monitor : LearningMonitor
            What has followed a coder, see :class:`skdendbal.monitoring.LearningMonitor`.
        rule : str or Rule, default=None
            Learning rule, whose colour the loss has. None: the colour of text.
        ax : matplotlib Axes or array-like of two of them, default=None
            Axes to draw on, as in :meth:`plot`.

        Returns
        -------
        display : LearningDisplay
            Display with the course of learning drawn.

        Raises
        ------
        ValueError
            If there is another number of axes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdendbal import DendriticBalanceCoder
        >>> from skdendbal.display import LearningDisplay
        >>> from skdendbal.monitoring import LearningMonitor
        >>> X, _ = load_digits(return_X_y=True)
        >>> coder = DendriticBalanceCoder(n_components=16, random_state=0)
        >>> monitor = LearningMonitor(X[1500:])
        >>> for _ in range(3):
        ...     monitor.observe(coder.partial_fit(X[:1500]))
        >>> display = LearningDisplay.from_monitor(monitor, rule=coder.settings_.rule)
        >>> display.explained_variance_line_.get_xdata()
        array([1500, 3000, 4500])
        """
        display = cls(
            monitor.n_presentations_,
            monitor.losses_,
            monitor.noise_levels_,
            explained_variances=monitor.explained_variances_,
            snapshots_at=monitor.snapshots_at_,
            balance_correlations=monitor.balance_correlations_,
            rule=rule,
        )
        return display.plot(ax)


def _is_any_finite(*measures):
    return any(values is not None and np.isfinite(values).any() for values in measures)
