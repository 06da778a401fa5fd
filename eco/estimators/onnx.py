"""A classifier that is an ONNX file, with the conventions of scikit-learn."""

import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import indexable

from eco.errors import FileError, ModelError, shortened
from eco.estimators import validation
from eco.estimators.pool import require_samples
from eco.estimators.samples import Samples
from eco.runtime.calls import in_calls
from eco.runtime.checks import check_probabilities

Array = NDArray[Any]

#: Types of ONNX that NumPy has.
TYPES = {"float": "float32", "double": "float64", "string": "object", "float16": "float16"}
TYPES |= {name: name for bits in (8, 16, 32, 64) for name in (f"int{bits}", f"uint{bits}")}
DTYPES = {f"tensor({ours})": np.dtype(its) for ours, its in (TYPES | {"bool": "bool"}).items()}
#: What to do about a file that can't be loaded.
WHOLE = "Give the path of an ONNX file with weights: torch.onnx.export(..., external_data=False)."


@dataclass(eq=False, repr=False)
class OnnxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that is an ONNX file, fitted elsewhere.

    In `CascadeClassifier` and `RoutingClassifier` set ``prefit=True`` or, beside models that aren't
    fitted, freeze it: `sklearn.frozen.FrozenEstimator`. The file is read and checked when it is
    first needed. A clone and a pickle hold its path, and read it again. Of no other file anything
    is read, so the weights must be in this one.

    Parameters
    ----------
    path : str or path-like
    output : {"probabilities", "logits"}
        What the graph gives for each sample: numbers that sum to 1, or scores whose softmax does.
        It is checked.
    output_name : str, optional
        By default the only output that holds floats of shape (n_samples, n_classes).
    classes : array-like of shape (n_classes,), optional
        Labels in the order of the output; 0, 1, 2, ... by default.
    preprocess : callable, optional
        From samples to what the graph takes of them: an array or, for several inputs, a mapping of
        arrays by the inputs' names. Without it, each of several inputs is a column of a data frame.
        Can be pickled if it is a function with a name.
    batch_size : int
        Samples of one call at most.
    threads : int
        Threads of one call.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Sorted, as those of scikit-learn's classifiers are; so are the columns of `predict_proba`.

    Notes
    -----
    What the graph takes is converted to its types where the numbers stay what they are: integers
    to integers that hold them, any number to floats, up to rounding; floats to no integers.
    A single column is taken for the second of two classes.

    Raises
    ------
    FileError
        If the file is missing, isn't such a graph or has its weights in other files.
    ModelError
        If what the graph gives isn't what `output` says.
    ValueError
        If a parameter isn't what it must be, or samples aren't what the graph takes.

    Examples
    --------
    >>> OnnxClassifier("small.onnx", "logits", classes=["cat", "dog"]).get_params()["threads"]
    1
    """

    path: Any
    output: str = "probabilities"
    _: KW_ONLY
    output_name: str | None = None
    classes: Any = None
    preprocess: Callable[[Any], Any] | None = None
    batch_size: int = 256
    threads: int = 1

    def fit(self, X: Any, y: Any) -> Self:  # noqa: ARG002
        """Nothing is fitted: a ValueError says which labels of `y` the graph doesn't know."""
        known = self.classes_.tolist()
        unknown = [label for label in np.unique(y).tolist() if label not in known]
        if unknown:
            raise ValueError(
                f"y must hold labels that {self.path} knows, {shortened(known)}; got "
                f"{shortened(unknown)}. Give classes; in a pool set prefit=True, or freeze it."
            )
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, (n_samples, n_classes), float32 or finer.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of n_samples, or what `preprocess` takes
        """
        if isinstance(X, Mapping):
            raise ValueError(
                f"X must hold samples, row by row; got {type(X).__name__}. Give a DataFrame, or "
                "preprocess, a function from samples to such a mapping."
            )
        (X,) = indexable(X)
        require_samples(X)
        p = in_calls(self._probabilities, str(self.path), Samples(X), None, self.batch_size)
        return p[:, self._graph.order]

    def predict(self, X: Any) -> Array:
        """Label of each sample, (n_samples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def classes_(self) -> Array:
        """Labels, sorted."""
        return self._graph.classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_loaded"}

    @property
    def _graph(self) -> "_Graph":
        """The graph, loaded anew where a parameter has changed."""
        now = [getattr(self, name) for name in self.__dataclass_fields__]
        before, graph = self.__dict__.get("_loaded", ([None] * len(now), None))
        if graph is None or any(a is not b for a, b in zip(before, now, strict=True)):
            self._check_parameters()
            graph = _load(Path(self.path), self.output_name, self.classes, int(self.threads))
            self._loaded = now, graph
        return graph

    def _check_parameters(self) -> None:
        outputs, text = ("probabilities", "logits"), str | None
        is_output = isinstance(self.output, str) and self.output in outputs
        is_callable = self.preprocess is None or callable(self.preprocess)
        for name, holds, expected in (
            ("path", isinstance(self.path, str | os.PathLike), "the path of an ONNX file"),
            ("output", is_output, "'probabilities' or 'logits'"),
            ("output_name", isinstance(self.output_name, text), "the name of an output, or None"),
            ("preprocess", is_callable, "callable, or None"),
        ):
            validation.require(self, name, holds, expected)
        validation.whole(self, "batch_size", 1)
        validation.whole(self, "threads", 1)

    def _probabilities(self, samples: Samples) -> Array:
        """Probabilities of one call, checked, in the order of the output."""
        n, n_classes, remedy = len(samples), len(self.classes_), ""
        values = self._run(samples.X)
        try:
            if values.ndim != 2 or len(values) != n:
                remedy = "Give another output_name, or preprocess that keeps each sample."
            elif self.output == "logits":
                values = _softmax(values)
            else:
                remedy = "If these are logits, set output='logits'."
                values = np.hstack([1 - values, values]) if values.shape[1] == 1 else values
            p, _ = check_probabilities(values, n)
            if p.shape[1] != n_classes:
                problem = f"must know {n_classes} classes, but knows {p.shape[1]}"
                raise ModelError(problem, remedy := "Give as many classes.")
        except ModelError as error:
            raise ModelError(error.problem, remedy or error.remedy, model=str(self.path)) from None
        return p

    def _run(self, X: Any) -> Array:
        graph, given = self._graph, X if self.preprocess is None else self.preprocess(X)
        if not isinstance(given, Mapping):
            if len(graph.inputs) == 1:
                given = dict.fromkeys(graph.inputs, given)
            elif isinstance(given, pd.DataFrame):
                given = {name: given[[name]] for name in given.columns}
        if not isinstance(given, Mapping) or set(given) != set(graph.inputs):
            found = list(given) if isinstance(given, Mapping) else type(given).__name__
            raise ValueError(
                f"{self.path} takes the inputs {list(graph.inputs)}; got {found}. Give a DataFrame "
                "with these columns, or preprocess, a function from samples to a dict of arrays."
            )
        feed = {
            name: _converted(given[name], dtype, f"{self.path} takes {name!r} as {dtype}")
            for name, dtype in graph.inputs.items()
        }
        try:
            return np.asarray(graph.session.run([graph.output], feed)[0])
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise ModelError(
                f"can't be run on these samples ({' '.join(str(error).split())[:250]})",
                "Give preprocess, which reshapes them. Where the first axis is of a fixed size, "
                "export it anew with a free one, or set batch_size.",
                model=str(self.path),
            ) from None


class _Graph(NamedTuple):
    """A loaded graph. Column `order[i]` of its output is that of the i-th class."""

    session: Any
    inputs: dict[str, np.dtype[Any]]
    output: str
    classes: Array
    order: Array


def _load(path: Path, output_name: str | None, classes: Any, threads: int) -> _Graph:
    from eco.runtime.session import find_output, load_graph  # ONNX Runtime is of an extra

    session = load_graph(path, threads, WHOLE)
    types = {one.name: one.type for one in session.get_inputs()}
    if not DTYPES.keys() >= set(types.values()):
        raise FileError(f"{path} must take arrays of numbers or text, but takes {types}")
    inputs = {name: DTYPES[one] for name, one in types.items()}
    naming = "Name one by output_name."
    output = find_output(path, session.get_outputs(), output_name, naming)
    return _Graph(session, inputs, output.name, *_classes(path, output.shape, classes))


def _classes(path: Path, shape: list[Any], classes: Any) -> tuple[Array, Array]:
    """Labels, sorted, and the columns of an output of a shape that are theirs."""
    width = shape[1] if shape and isinstance(shape[1], int) and shape[1] > 0 else None
    n = 2 if width == 1 else width
    if classes is None:
        if n is None:
            raise FileError(f"{path} doesn't say how many classes it knows", "Give classes.")
        return np.arange(n), np.arange(n)
    given = np.asarray(classes)
    labels, order = np.unique(given, return_index=True)
    if given.ndim != 1 or len(labels) != given.size or n not in (None, given.size):
        raise ValueError(
            f"classes must be {n or 'some'} different labels, in the order of the output of "
            f"{path}; got {shortened(given.tolist())}"
        )
    return labels, order


def _softmax(logits: Array) -> Array:
    """Probabilities of logits, (n_samples, n_classes); a ModelError if they are that already."""
    from eco.runtime.session import are_probabilities  # ONNX Runtime is of an extra

    if logits.dtype.kind != "f":
        return logits
    logits = logits.astype(np.promote_types(logits.dtype, np.float32))
    if are_probabilities(logits):
        raise ModelError("gives probabilities, no logits", "Set output='probabilities'.")
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    with np.errstate(invalid="ignore"):  # infinite ones become NaN, which is refused
        return softmax(logits, axis=1)


def _converted(values: Any, dtype: np.dtype[Any], expected: str) -> Array:
    """Values of another type, the same up to rounding, or a ValueError that says what it takes."""
    array = values.toarray() if issparse(values) else np.asarray(values)
    whole = array.dtype.kind in "iu" and dtype.kind in "iu"
    fits = whole or np.can_cast(array.dtype, dtype, "same_kind")
    if dtype.kind == "O":
        fits = all(isinstance(value, str) for value in array.flat)
    try:
        with np.errstate(over="raise"):
            converted = array.astype(dtype, copy=False) if fits else array
    except FloatingPointError:
        fits = False
    if not fits or (whole and (converted != array).any()):
        raise ValueError(
            f"{expected}, which {array.dtype} of shape {array.shape} can't become without loss. "
            "Convert it, as it is meant, in preprocess or before."
        )
    return converted
