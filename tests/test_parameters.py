"""Parameter objects: checked, shown, compared, cloned and searched like an estimator's."""

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import Interval, StrOptions

from skdendbal import DendriticBalanceCoder
from skdendbal.rules import RULES, Dendritic, DendriticSlow, Rule, Somatic
from skdendbal.settings import Neuron, Noise

if TYPE_CHECKING:
    from nowhere import Missing

DIGITS = load_digits().data / 16


@dataclass(frozen=True)
class Own(Rule):
    """A user-defined rule, whose type annotations exist for type checkers only."""

    text: "Missing | str" = "a"
    slope: float = 1.0

    _parameter_constraints: ClassVar[dict] = {
        "text": [StrOptions({"a", "b"})],
        "slope": [Interval(Real, -2.0, 2.0, closed="both")],
    }

    def update(self, weights, batch, dt):
        pass


@pytest.mark.parametrize(
    ("cls", "parameter", "value"),
    [
        (Dendritic, "decoder_rate", -1.0),
        (Dendritic, "decoder_decay", np.inf),
        (DendriticSlow, "pruned", 1.5),
        (DendriticSlow, "feedforward_rate", "fast"),
        (Neuron, "homeostasis_rate", np.nan),
        (Neuron, "self_inhibition", np.inf),
        (Neuron, "one_spike_per_step", "no"),
        (Neuron, "scaled_bias", 5.0),
        (Noise, "final", 0.0),
        (Noise, "final", "low"),
        (Noise, "initial", 0.0),
        (Noise, "annealing", -1.0),
        (Own, "text", "c"),
        (Own, "slope", 3.0),
        (Own, "decoder_rate", -1.0),
    ],
)
def test_parameters_out_of_range_are_refused(cls, parameter, value):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of {cls.__name__} must be"):
        cls(**{parameter: value})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of {cls.__name__} must be"):
        cls().with_params(**{parameter: value})


def test_objects_show_what_differs_from_the_default():
    assert repr(DendriticSlow(pruned=0.5)) == "DendriticSlow(pruned=0.5)"
    assert repr(Somatic()) == "Somatic()"
    assert repr(Noise(0.1)) == "Noise(final=0.1)"
    assert repr(Neuron(scaled_bias=True)) == "Neuron(scaled_bias=True)"
    assert repr(Own(slope=-1.0)) == "Own(slope=-1.0)"


@pytest.mark.parametrize("value", [Dendritic(decoder_decay=0.0), Neuron(), Noise(0.2), Own()])
def test_objects_are_compared_and_cloned_by_value(value):
    assert clone(value) == value
    assert clone(value) is not value
    assert hash(clone(value)) == hash(value)
    assert type(value)(**value.get_params()) == value


def test_an_object_with_a_constructor_of_its_own_is_refused():
    # it would be shown, compared and cloned without its own attributes
    with pytest.raises(TypeError, match="Plain defines __init__: declare its parameters as field"):

        class Plain(Dendritic):
            def __init__(self, slope):
                self.slope = slope


def test_parameters_of_objects_are_set_through_the_coder():
    rule, coder = Dendritic(), DendriticBalanceCoder(4)
    coder.set_params(
        learning_rule=rule,
        learning_rule__decoder_decay=0.2,
        neuron__one_spike_per_step=False,
        noise__annealing=20.0,
        n_components=5,
    )
    assert coder.n_components == 5
    assert coder.learning_rule == Dendritic(decoder_decay=0.2)
    assert rule == Dendritic()  # unchanged, because it may belong to another coder
    assert coder.neuron == Neuron(one_spike_per_step=False)
    assert coder.noise == Noise("auto", annealing=20.0)
    assert coder.set_params(noise=0.1, noise__initial=0.5).noise == Noise(0.1, initial=0.5)
    params = coder.get_params()
    assert params["learning_rule__decoder_decay"] == 0.2
    assert params["neuron__one_spike_per_step"] is False
    assert params["noise__initial"] == 0.5
    assert clone(coder).get_params() == params


@pytest.mark.parametrize("name", RULES)
def test_a_rule_by_name_becomes_an_object_with_other_parameters(name):
    coder = DendriticBalanceCoder(learning_rule=name).set_params(learning_rule__decoder_decay=0.0)
    assert coder.learning_rule == RULES[name](decoder_decay=0.0)


def test_wrong_names_of_parameters_are_refused():
    coder = DendriticBalanceCoder()
    with pytest.raises(
        ValueError, match=r"Invalid parameter 'slope' for Dendritic.* are: .*decay"
    ):
        coder.set_params(learning_rule__slope=1.0)
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense' for estimator"):
        coder.set_params(nonsense__slope=1.0)
    assert coder.learning_rule == "dendritic"


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("learning_rule__decoder_decay", [0.0, 0.1]),
        ("neuron__one_spike_per_step", [True, False]),
        ("noise__annealing", [3.0, 7.0]),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_searches_reach_the_parameters_of_objects(parameter, values):
    coder = DendriticBalanceCoder(4, batch_size=8, max_iter=1, random_state=0)
    for estimator, prefix in ((coder, ""), (make_pipeline(coder), "dendriticbalancecoder__")):
        search = GridSearchCV(estimator, {prefix + parameter: values}, cv=2).fit(DIGITS[:200])
        assert search.best_params_[prefix + parameter] in values
        scores = search.cv_results_["mean_test_score"]
        assert scores[0] != scores[1]
