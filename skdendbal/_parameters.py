"""Parameter objects: small groups of parameters that an estimator takes as one."""

from dataclasses import fields, replace
from typing import ClassVar

from sklearn.utils._param_validation import validate_parameter_constraints


class Parameters:
    """Parameters that are checked, shown, cloned and searched like those of an estimator.

    A subclass is a frozen dataclass whose fields are its parameters. It may constrain its own
    fields in `_parameter_constraints`, as estimators of scikit-learn do; those of its base classes
    hold too.
    """

    _parameter_constraints: ClassVar[dict] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and "__dataclass_fields__" not in vars(cls):
            raise TypeError(
                f"{cls.__name__} defines __init__: declare its parameters as fields of a frozen "
                "dataclass instead, so that they can be compared, shown and searched."
            )
        cls.__repr__ = Parameters.__repr__  # or dataclass would write one that shows all fields

    def __post_init__(self):
        constraints = {}
        for cls in reversed(type(self).__mro__):
            constraints |= vars(cls).get("_parameter_constraints", {})
        validate_parameter_constraints(constraints, self.get_params(), type(self).__name__)

    def __repr__(self):
        changed = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    def get_params(self, deep=True):
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Ignored: no parameter has parameters of its own.

        Returns
        -------
        params : dict of str to object
            Parameters by name.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def with_params(self, **params):
        """Return the object with other parameters.

        Parameters
        ----------
        **params : dict
            New values of parameters by name.

        Returns
        -------
        changed : Parameters
            An object of the same class.

        Raises
        ------
        ValueError
            If there is no such parameter, or a value is out of its range.
        """
        valid = list(self.get_params())
        unknown = sorted(params.keys() - valid)
        if unknown:
            raise ValueError(
                f"Invalid parameter {unknown[0]!r} for {self!r}. Valid parameters are: {valid!r}."
            )
        return replace(self, **params)
