"""The look of all figures: sizes, type, colours that survive colour blindness and greyscale."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK, SOFT, FAINT, LINE = "#1b1f24", "#59616b", "#868e98", "#dfe2e6"
WIDTH = 9.0  # inches of a figure as wide as the page's main column


@dataclass(frozen=True)
class Look:
    """How a method, group or series is drawn; colour is never the only difference.

    Attributes
    ----------
    colour : str
        Hex.
    dash : str or tuple
        A matplotlib line style.
    marker : str
        A matplotlib marker.
    """

    colour: str
    dash: Any
    marker: str


# The first two from Okabe & Ito (2008), darkened; all four differ in lightness, dashes and marker.
LOOKS = (
    Look("#0b4f8a", "-", "o"),
    Look("#d55e00", (0, (6, 2)), "D"),
    Look("#8f4b86", (0, (10, 2)), "X"),
    Look("#6b4f1d", (0, (2, 0.8)), "h"),
)

_SETTINGS: Any = {  # matplotlib types the keys as one literal per setting
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "patch.linewidth": 0.7,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
    "svg.fonttype": "none",
    "svg.hashsalt": "nextscan",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the house style inside this block; settings outside stay as they are."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure of a size in inches, laid out so that nothing is cut off."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def quiet(axes: Axes, *, grid: Literal["x", "y", "both"] = "y") -> None:
    """Put a light grid behind the marks, across the "x" or "y" axis or both."""
    axes.grid(True, axis=grid)
    axes.tick_params(length=0)


def broken(name: str, width: int = 22) -> str:
    """Break a long feature name over two lines, at an underscore or hyphen if there is one.

    >>> broken("lh_G_cingul-Post-dorsal_thickness"), broken("Left-Caudate")
    ('lh_G_cingul-Post-\\ndorsal_thickness', 'Left-Caudate')
    """
    if len(name) <= width:
        return name
    places = [i for i in range(width // 2, min(width, len(name) - 1)) if name[i] in "_- "]
    at = places[-1] + 1 if places else width
    rest = name[at:]
    return f"{name[:at]}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"


@cache
def diverging() -> Colormap:
    """Return a blue-white-orange map, evenly spaced in lightness on both sides (Oklab; Ottosson 2020)."""
    import numpy as np
    from matplotlib.colors import ListedColormap

    lightness = np.linspace(0.985, 0.42, 128)
    # The sRGB gamut is about a triangle in lightness and chroma; its peak is rounded off.
    chroma = ((0.48 * (1 - lightness)) ** -6 + (0.27 * lightness) ** -6) ** (-1 / 6)
    arms = [_oklab_to_srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue)) for hue in (4.4, 0.85)]
    return ListedColormap(np.vstack([arms[0][::-1], arms[1]]), name="nextscan-diverging")


def _oklab_to_srgb(lightness: Any, a: Any, b: Any) -> Any:
    import numpy as np

    roots = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ roots**3, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).T


def to_svg(figure: Figure, name: str, *, smooth: bool = False) -> Markup:
    """Return the figure as inline SVG whose text takes the page's type; `name` keeps its ids apart.

    `name` is distinct within the page. `smooth` lets the browser
    average the cells of an image that has more of them than the screen has pixels.
    """
    from markupsafe import Markup

    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    name = re.sub(r"[^\w-]", "-", name)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'xmlns:\w+="[^"]*"|version="1\.1"', "", text)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(url\(|href=\")#", rf"\1#{name}-", text).replace("xlink:href", "href")
    text = text.replace("'DejaVu Sans'", "sans-serif")
    text = re.sub(r"(?<=data:image/png;base64,)[\w+/=\s]+", lambda m: _with_palette(m[0]), text)
    if smooth:
        text = text.replace("image-rendering:crisp-edges;image-rendering:pixelated", "")
    # Hundredths of a point are enough for places on the page; numbers a reader sees stay whole.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)
    text = text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return Markup(re.sub(r"\n\s*", "\n", text))


def _with_palette(code: str) -> str:
    """Return a PNG image in base64 with a palette, if it is opaque and has at most 256 colours."""
    import numpy as np
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(code)))
    cells = np.asarray(image.convert("RGBA"))
    colours, which = np.unique(cells.view(np.uint32), return_inverse=True)
    palette = colours[:, None].view(np.uint8)
    if len(colours) > 256 or (palette[:, 3] < 255).any():
        return code
    small = Image.fromarray(which.reshape(cells.shape[:2]).astype(np.uint8), mode="P")
    small.putpalette(palette[:, :3].tobytes())
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def to_png(figure: Figure, *, dots_per_inch: float = 200) -> Markup:
    """Return the figure as an inline PNG image, for what has too many marks for SVG."""
    from markupsafe import Markup

    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=dots_per_inch)
    code = base64.b64encode(buffer.getvalue()).decode()
    return Markup('<img alt="" src="data:image/png;base64,{}">').format(code)
