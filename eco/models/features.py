"""Samples as rows of numbers, by NumPy to train on, and by the graph that does the same.

Both give the same numbers, to the last bit but for very few: a tree splits them alike.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import KINDS, kind_of
from eco.errors import DataError

Array = NDArray[Any]

#: Sides of the blocks of pixels over which brightness, and differences, are averaged.
BRIGHTNESS_BLOCK, EDGE_BLOCK = 2, 4
#: Numbers in the vector of a word, at most.
WORD_NUMBERS = 100
#: Directions of a text whose singular value is a smaller share of the largest are rounding errors.
LEAST_SINGULAR_VALUE = 1e-6
#: Bits of the whole numbers that float32 holds.
WHOLE_BITS = 24


class Features(Protocol):
    """What turns samples of one kind and shape into rows of numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        ...

    def __call__(self, X: Array) -> Array:
        """Samples (n, *shape) as rows (n, n_features), float32."""
        ...

    def graph(self) -> Any:
        """The ONNX graph from ``X`` to ``features``."""
        ...


def fit_features(X: Array, pixels: str = "linear") -> Features:
    """The features of samples, as training samples have them.

    Parameters
    ----------
    X : array of shape (n_samples, ...)
        Training samples of any kind: see `eco.data.kinds`.
    pixels : str
        See `ImageFeatures`; of other kinds it changes nothing.

    Raises
    ------
    DataError
        If the array holds samples of no kind.
    """
    kind = kind_of(X)
    if kind == "images":
        return ImageFeatures(X.shape[1:], pixels)
    if kind == "table":
        return TableFeatures.fit(X)
    if kind == "text":
        return TextFeatures.fit(X)
    known = [f"{name} of {n_axes} axes ({kind})" for (name, n_axes), kind in KINDS.items()]
    raise DataError(
        f"Samples to train on must be an array of {', '.join(known)}; got {X.dtype.name} of "
        f"{X.ndim} axes. Convert it with NumPy's astype and reshape."
    )


def scale(X: Array) -> Array:
    """Pixels as float32 in [0, 1]."""
    return X.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class ImageFeatures:
    """Images as rows of pixels, or of what is made of them.

    Parameters
    ----------
    shape : tuple of int
        Height and width of an image; and 3 where it is in colour.
    pixels : {"linear", "square_root", "whole", "edges"}
        Pixels in [0, 1]; their square roots, which bring out dark ones; pixels as they are, which
        saves trees the scaling; or aggregated channels (Dollár et al. 2014, "Fast Feature Pyramids
        for Object Detection"): the brightness of blocks of pixels, and how much horizontal and
        vertical neighbours differ in them, on the sum of the colours.
    """

    shape: tuple[int, ...]
    pixels: str = "linear"

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return int(self(np.zeros((1, *self.shape), np.uint8)).shape[1])

    def __call__(self, X: Array) -> Array:
        """Images as rows."""
        if self.pixels == "edges":
            whole = X.astype(np.float32)
            whole = whole.sum(axis=3) if whole.ndim == 4 else whole
            axes = [axis for axis in (2, 1) if whole.shape[axis] > 1]
            blocks = [_block_means(whole, BRIGHTNESS_BLOCK)]
            blocks += [_block_means(abs(np.diff(whole, axis=a)), EDGE_BLOCK) for a in axes]
            return np.hstack([part.reshape(len(X), -1) for part in blocks])
        rows = X.reshape(len(X), -1)
        if self.pixels == "whole":
            return rows.astype(np.float32)
        return np.sqrt(scale(rows)) if self.pixels == "square_root" else scale(rows)

    def graph(self) -> Any:
        """The ONNX graph from images to rows."""
        if self.pixels == "edges":
            return _edge_graph(self.shape, self.n_features)
        return pixel_graph(self.shape, (self.n_features,), self.pixels)


def _block_means(X: Array, side: int) -> Array:
    """Means of blocks of side x side pixels, black ones appended where the last is cut off."""
    # Exact in float32 if side is a power of two, so that trees split here as in the graph.
    for axis in (1, 2):
        X = np.add.reduceat(X, np.arange(0, X.shape[axis], side), axis)
    return X / np.float32(side**2)


def pixel_graph(shape: tuple[int, ...], sizes: tuple[int, ...], pixels: str = "linear") -> Any:
    """The graph from images to as many pixels in another shape, ``features``."""
    from eco.models.onnx.export import parse

    image, row = (", ".join(map(str, axes)) for axes in (shape, sizes))
    return parse(f"""front (uint8[n, {image}] X) => (float[n, {row}] features)
        {{
            numbers = Cast<to = 1>(X)
            white = Constant<value = float {{255.0}}>()
            scaled = {"Identity(numbers)" if pixels == "whole" else "Div(numbers, white)"}
            bright = {"Sqrt" if pixels == "square_root" else "Identity"}(scaled)
            shape = Constant<value = int64[{len(sizes) + 1}] {{0, {row}}}>()
            features = Reshape(bright, shape)
        }}""")


def _edge_graph(shape: tuple[int, ...], n_features: int) -> Any:
    from eco.models.onnx.export import parse

    height, width = shape[:2]
    steps, rows = [_block_graph("bright", "image", shape, BRIGHTNESS_BLOCK)], ["bright_rows"]
    for name, size, left in (
        ("width", width, (height, width - 1)),
        ("height", height, (height - 1, width)),
    ):
        if size == 1:  # no neighbours
            continue
        steps.append(f"""
            {name}_next = Slice(image, one, {name}_end, {name}_axis)
            {name}_this = Slice(image, zero, minus_one, {name}_axis)
            {name}_change = Sub({name}_next, {name}_this)
            {name}_size = Abs({name}_change)
            {_block_graph(name, f"{name}_size", left, EDGE_BLOCK)}""")
        rows.append(f"{name}_rows")
    constants = {
        "zero": [0], "one": [1], "minus_one": [-1], "as_image": [0, 1, height, width],
        "height_axis": [2], "height_end": [height], "width_axis": [3], "width_end": [width],
        "colour_axis": [3],
    }  # fmt: skip
    colours = "grey = ReduceSum<keepdims = 0>(numbers, colour_axis)"
    declared = "".join(f", int64[{len(value)}] {name}" for name, value in constants.items())
    return parse(
        f"""front (uint8[n, {", ".join(map(str, shape))}] X{declared})
            => (float[n, {n_features}] features)
        {{
            numbers = Cast<to = 1>(X)
            {colours if len(shape) == 3 else ""}
            image = Reshape({"grey" if len(shape) == 3 else "numbers"}, as_image)
            {"".join(steps)}
            features = Concat<axis = 1>({", ".join(rows)})
        }}""",
        constants,
    )


def _block_graph(name: str, image: str, shape: tuple[int, ...], side: int) -> str:
    below, right = (-size % side for size in shape[:2])
    return f"""
            {name}_means = AveragePool<kernel_shape = [{side}, {side}], strides = [{side}, {side}],
                pads = [0, 0, {below}, {right}], count_include_pad = 1>({image})
            {name}_rows = Flatten<axis = 1>({name}_means)"""


@dataclass(frozen=True, eq=False)
class TableFeatures:
    """Columns in standard deviations from their mean; the median stands for missing values.

    Parameters
    ----------
    medians, means, deviations : arrays of shape (n_columns,), float32
        Of the training samples, the last two after missing values are filled.
    """

    medians: Array
    means: Array
    deviations: Array

    @classmethod
    def fit(cls, X: Array) -> "TableFeatures":
        """The features of a table (n_samples, n_columns), float32 with NaN where values miss."""
        known = ~np.isnan(X)
        columns = [column[kept] for column, kept in zip(X.T, known.T, strict=True)]
        medians = np.array([np.median(c) if c.size else 0 for c in columns], np.float32)
        whole = np.where(known, X, medians).astype(np.float64)
        deviations = whole.std(axis=0).astype(np.float32)
        # Of a constant column there may be rounding errors.
        deviations[(np.ptp(whole, axis=0) == 0) | (deviations == 0)] = 1
        return cls(medians, whole.mean(axis=0).astype(np.float32), deviations)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.medians.shape

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return len(self.medians)

    def __call__(self, X: Array) -> Array:
        """Rows of a table as rows without missing values."""
        return (np.where(np.isnan(X), self.medians, X) - self.means) / self.deviations

    def graph(self) -> Any:
        """The ONNX graph from a table to rows."""
        from eco.models.onnx.export import parse

        n = self.n_features
        return parse(
            f"""front (float[n, {n}] X, float[{n}] medians, float[{n}] means,
                float[{n}] deviations) => (float[n, {n}] features)
            {{
                missing = IsNaN(X)
                whole = Where(missing, medians, X)
                centred = Sub(whole, means)
                features = Div(centred, deviations)
            }}""",
            {"medians": self.medians, "means": self.means, "deviations": self.deviations},
        )


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Texts as the sums of their words' vectors, of length 1.

    Latent semantic analysis (Deerwester et al. 1990, "Indexing by Latent Semantic Analysis"): the
    words that stand in the same texts have similar vectors.

    Parameters
    ----------
    n_tokens : int
        Words in a text at most.
    vectors : array of shape (n_words + 1, n_features), float32
        By the word's id; the last is 0, and that of all words with larger ids.
    step : float
        All numbers in ``vectors`` are multiples of it, so that float32 sums of them are exact.
    """

    n_tokens: int
    vectors: Array
    step: float

    @classmethod
    def fit(cls, X: Array) -> "TextFeatures":
        """The features of texts (n_samples, n_tokens), int32 ids of words: see `eco.data.kinds`."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        words = np.unique(X[X > 1])
        n_numbers = min(WORD_NUMBERS, len(words), len(X))
        if not n_numbers:  # no known word
            return cls(X.shape[1], np.zeros((1, 1), np.float32), 1.0)
        counts = _one_hot(X, int(words[-1]) + 1)[:, words]
        counts.sum_duplicates()
        weighting = TfidfTransformer().fit(counts)
        svd = TruncatedSVD(n_numbers, random_state=0).fit(weighting.transform(counts))
        kept = svd.singular_values_ >= LEAST_SINGULAR_VALUE * svd.singular_values_[0]
        vectors = np.zeros((int(words[-1]) + 2, kept.sum()))
        vectors[words] = (svd.components_[kept] * weighting.idf_).T
        whole_bits = np.ceil(np.log2(X.shape[1] * abs(vectors).max()))
        step = 2.0 ** (whole_bits - WHOLE_BITS)
        return cls(X.shape[1], (np.round(vectors / step) * step).astype(np.float32), step)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.n_tokens,)

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return int(self.vectors.shape[1])

    def __call__(self, X: Array) -> Array:
        """Texts as rows; without a known word all numbers are 0."""
        last = len(self.vectors) - 1
        sums = _one_hot(np.clip(X, 0, last), last + 1) @ self.vectors
        norms = np.linalg.norm(sums.astype(np.float64), axis=1, keepdims=True)
        rows: Array = sums / np.maximum(norms.astype(np.float32), np.float32(self.step))
        return rows

    def graph(self) -> Any:
        """The ONNX graph from texts to rows."""
        from eco.models.onnx.export import parse

        n_rows, n = self.vectors.shape
        return parse(
            f"""front (int32[n, {self.n_tokens}] X, float[{n_rows}, {n}] vectors, int32 first,
                int32 last, int64[1] token_axis, float step) => (float[n, {n}] features)
            {{
                known = Clip(X, first, last)
                words = Gather(vectors, known)
                sums = ReduceSum<keepdims = 0>(words, token_axis)
                exact = Cast<to = 11>(sums)
                squares = ReduceSumSquare<axes = [1]>(exact)
                lengths = Sqrt(squares)
                norms = Cast<to = 1>(lengths)
                positive = Max(norms, step)
                features = Div(sums, positive)
            }}""",
            {
                "vectors": self.vectors, "first": np.int32(0), "last": np.int32(n_rows - 1),
                "token_axis": [1], "step": np.float32(self.step),
            },
        )  # fmt: skip


def _one_hot(X: Array, n_words: int) -> Any:
    """Texts as a sparse matrix (n_samples, n_words) of 1 for each word, as often as it stands."""
    from scipy.sparse import csr_matrix

    ends = np.arange(0, X.size + 1, X.shape[1])
    return csr_matrix((np.ones(X.size, np.float32), X.ravel(), ends), (len(X), n_words))
