"""`draw_scene`: a procedural scene with exact masks at every level."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

MAX_MASKS = 32
MIN_SHARE, MAX_SHARE = 0.003, 0.7  # of the image, for a mask to be kept


@dataclass(frozen=True)
class Scene:
    """An image and its masks.

    Attributes:
        image: `(S, S, 3)` uint8 RGB.
        bits: `(S, S)` uint32; bit k is set where the pixel belongs to mask k. Masks may nest.
        count: number of masks.
    """

    image: np.ndarray
    bits: np.ndarray
    count: int

    def masks(self) -> np.ndarray:
        """All masks, boolean `(count, S, S)`."""
        return (self.bits[None] >> np.arange(self.count, dtype=np.uint32)[:, None, None]) & 1 > 0


def draw_scene(seed: int, size: int = 256) -> Scene:
    """Draws a scene: regions of background, objects in depth order, light, and a camera.

    Args:
        seed: any non-negative integer; the same seed and size give the same scene.
        size: side of the image in pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = _Canvas(size)
    _draw_background(canvas, rng)
    draws = [_blob, _blob, _blob, _ellipse, _polygon, _animal, _animal, _building, _plant, _cluster, _tubes]
    for index in range(int(rng.integers(2, 13))):
        draw = draws[rng.integers(len(draws))]
        depth = 0.35 + 0.65 * rng.random()
        draw(canvas, rng, depth)
    image = _camera(canvas.image, rng)
    return _pack(image, canvas.masks)


class _Canvas:
    """The picture so far; painting an object takes its pixels from those behind it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = np.zeros((size, size, 3), np.float32)
        self.masks: list[np.ndarray] = []

    def paint(self, mask: np.ndarray, colours: np.ndarray, *, rng: np.random.Generator, parts=()):
        """Paints an object; `parts` are masks within it that are kept too."""
        if rng.random() < 0.5:
            self._shadow(mask, rng)
        alpha = _blur_mask(mask)[..., None]
        self.image = self.image * (1 - alpha) + colours * alpha
        for other in self.masks:
            other &= ~mask
        self.masks.append(mask.copy())
        for part in parts:
            self.masks.append(part & mask)

    def _shadow(self, mask: np.ndarray, rng: np.random.Generator) -> None:
        shift = rng.integers(-self.size // 12, self.size // 12 + 1, 2)
        shadow = np.roll(mask, shift, (0, 1))
        soft = np.asarray(
            Image.fromarray((shadow * 255).astype(np.uint8)).filter(
                ImageFilter.GaussianBlur(1 + self.size / 64 * rng.random())
            ),
            np.float32,
        ) / 255
        self.image *= 1 - (0.15 + 0.4 * rng.random()) * soft[..., None]


# Backgrounds


def _draw_background(canvas: _Canvas, rng: np.random.Generator) -> None:
    size = canvas.size
    kind = rng.random()
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None] + np.zeros((1, size), np.float32)
    if kind < 0.5:  # bands: sky, hills, ground
        count = int(rng.integers(1, 5))
        cuts = np.sort(rng.random(count - 1))
        label = np.zeros((size, size), int)
        slope = rng.normal(0, 0.15)
        x = np.linspace(-0.5, 0.5, size, dtype=np.float32)[None]
        for cut in cuts:
            line = cut + slope * x + 0.25 * rng.random() ** 2 * (_profile(size, rng) - 0.5)
            label += y > line
    elif kind < 0.85:  # smooth regions
        count = int(rng.integers(2, 6))
        fields = np.stack([_noise(size, rng, 1.0, 2) for _ in range(count)])
        label = fields.argmax(0)
    else:
        label = np.zeros((size, size), int)
    base = _colour(rng)
    for index in range(label.max() + 1):
        mask = label == index
        if not mask.any():
            continue
        colour = base if rng.random() < 0.25 else _colour(rng)
        canvas.image[mask] = _surface(size, rng, colour)[mask]
        canvas.masks.append(mask)


# Objects


def _blob(canvas, rng, depth):
    mask = _contour(canvas.size, rng, *_place(canvas.size, rng, depth), rough=rng.random() ** 2)
    parts = []
    colours = _shade(_surface(canvas.size, rng), mask, rng)
    if rng.random() < 0.35:
        inner = mask & (_noise(canvas.size, rng, 1.0, 2) > 0.55)
        colours = _over(colours, inner, _shade(_surface(canvas.size, rng), mask, rng))
        parts.append(inner)
    canvas.paint(mask, colours, rng=rng, parts=parts)


def _ellipse(canvas, rng, depth):
    cx, cy, radius = _place(canvas.size, rng, depth)
    y, x = np.mgrid[: canvas.size, : canvas.size].astype(np.float32)
    angle, squash = rng.random() * np.pi, 0.3 + 0.7 * rng.random()
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    distance = (u / radius) ** 2 + (v / radius / squash) ** 2
    mask = distance < 1
    parts = []
    colours = _surface(canvas.size, rng)
    colours = colours * (1.15 - 0.5 * np.clip(distance, 0, 1))[..., None]
    if rng.random() < 0.4:
        inner = distance < (0.3 + 0.5 * rng.random()) ** 2
        colours = _over(colours, inner, _surface(canvas.size, rng))
        parts.append(inner)
    canvas.paint(mask, _shade(colours, mask, rng), rng=rng, parts=parts)


def _polygon(canvas, rng, depth):
    cx, cy, radius = _place(canvas.size, rng, depth)
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.random(corners)) * 2 * np.pi
    if rng.random() < 0.5:
        angles = (np.arange(4) + 0.5) * np.pi / 2 + rng.normal(0, 0.15, 4) + rng.random()
    stretch = np.exp(rng.normal(0, 0.4))
    points = [(cx + radius * np.cos(a) * stretch, cy + radius * np.sin(a) / stretch) for a in angles]
    mask = _fill(canvas.size, points)
    colours = _shade(_surface(canvas.size, rng), mask, rng)
    parts = []
    if rng.random() < 0.4:
        shrink = 0.4 + 0.4 * rng.random()
        inner = _fill(canvas.size, [(cx + (px - cx) * shrink, cy + (py - cy) * shrink) for px, py in points])
        colours = _over(colours, inner, _surface(canvas.size, rng))
        parts.append(inner)
    canvas.paint(mask, colours, rng=rng, parts=parts)


def _animal(canvas, rng, depth):
    """Body, head, legs and a tail: parts with related colours that make one whole."""
    size = canvas.size
    cx, cy, radius = _place(size, rng, depth)
    fur = _colour(rng)
    flip = -1 if rng.random() < 0.5 else 1
    tilt = rng.normal(0, 0.25)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])

    def at(u, v):
        p = turn @ np.array([u * flip, v]) * radius
        return cx + p[0], cy + p[1]

    limbs = []
    for u in np.linspace(-0.55, 0.5, int(rng.integers(2, 5))):
        width = radius * (0.1 + 0.08 * rng.random())
        limbs.append(_tube(size, [at(u, 0.2), at(u + rng.normal(0, 0.1), 0.6), at(u + rng.normal(0, 0.15), 1.0)], width))
    tail = _tube(size, [at(-0.7, -0.1), at(-1.0, -0.3 + rng.normal(0, 0.2)), at(-1.3, -0.4 + rng.normal(0, 0.3))], radius * 0.08)
    body = _contour(size, rng, *at(0, 0), radius * 0.75, rough=0.15, squash=0.4 + 0.3 * rng.random(), angle=tilt)
    head = _contour(size, rng, *at(0.8 + 0.2 * rng.random(), -0.4 * rng.random() - 0.15), radius * (0.25 + 0.2 * rng.random()), rough=0.1)
    pieces = [*limbs, tail, body, head]
    whole = np.logical_or.reduce(pieces)
    surface = _surface(size, rng, fur)
    colours = surface
    for piece in pieces:
        tint = surface * (0.75 + 0.45 * rng.random())
        if rng.random() < 0.2:
            tint = _surface(size, rng)
        colours = _over(colours, piece, _shade(tint, piece, rng, 0.4))
    seen = np.zeros_like(whole)
    kept = []
    for piece in reversed(pieces):
        kept.append(piece & ~seen)
        seen |= piece
    canvas.paint(whole, colours, rng=rng, parts=[part for part in kept if rng.random() < 0.7])


def _building(canvas, rng, depth):
    size = canvas.size
    cx, cy, radius = _place(size, rng, depth)
    w, h = radius * (0.4 + 0.6 * rng.random()), radius * (0.6 + 0.9 * rng.random())
    lean = rng.normal(0, 0.1) * h
    box = [(cx - w, cy - h), (cx + w, cy - h + lean), (cx + w, cy + h), (cx - w, cy + h)]
    wall = _fill(size, box)
    colours = _shade(_surface(size, rng), wall, rng, 0.3)
    parts = []
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    windows = np.zeros_like(wall)
    for i in range(rows):
        for j in range(columns):
            x0 = cx - w + 2 * w * (j + 0.25) / columns
            y0 = cy - h + 2 * h * (i + 0.25) / rows + lean * (j + 0.5) / columns
            window = _fill(size, [(x0, y0), (x0 + w / columns, y0), (x0 + w / columns, y0 + h / rows), (x0, y0 + h / rows)])
            windows |= window
            if rows * columns < 7:
                parts.append(window)
    colours = _over(colours, windows, _surface(size, rng))
    whole = wall
    if rng.random() < 0.5:
        roof = _fill(size, [(cx - 1.15 * w, cy - h), (cx + rng.normal(0, 0.3) * w, cy - h - w * (0.4 + rng.random())), (cx + 1.15 * w, cy - h + lean)])
        colours = _over(colours, roof, _shade(_surface(size, rng), roof, rng, 0.3))
        whole = wall | roof
        parts += [roof, wall & ~roof]
    canvas.paint(whole, colours, rng=rng, parts=parts[: 8])


def _plant(canvas, rng, depth):
    size = canvas.size
    cx, cy, radius = _place(size, rng, depth)
    trunk = _tube(size, [(cx, cy + radius), (cx + rng.normal(0, 0.1) * radius, cy), (cx + rng.normal(0, 0.2) * radius, cy - 0.5 * radius)], radius * (0.05 + 0.1 * rng.random()))
    crown = np.zeros_like(trunk)
    for _ in range(int(rng.integers(1, 7))):
        crown |= _contour(size, rng, cx + rng.normal(0, 0.35) * radius, cy - (0.4 + 0.5 * rng.random()) * radius, radius * (0.3 + 0.3 * rng.random()), rough=0.6)
    colours = _shade(_surface(size, rng), trunk, rng)
    colours = _over(colours, crown, _shade(_surface(size, rng), crown, rng))
    canvas.paint(trunk | crown, colours, rng=rng, parts=[trunk & ~crown, crown])


def _cluster(canvas, rng, depth):
    """Repeated things, each a mask."""
    size = canvas.size
    cx, cy, radius = _place(size, rng, depth)
    count = int(rng.integers(3, 10))
    small = radius * (0.2 + 0.25 * rng.random())
    surface = _surface(size, rng)
    in_row = rng.random() < 0.5
    squash, rough = 0.5 + 0.5 * rng.random(), 0.4 * rng.random()
    direction = rng.random() * np.pi
    for index in range(count):
        if in_row:
            step = (index - count / 2) * small * 2.1
            x, y = cx + step * np.cos(direction), cy + step * np.sin(direction)
        else:
            x, y = cx + rng.normal(0, radius), cy + rng.normal(0, radius)
        item = _contour(size, rng, x, y, small, rough=rough, squash=squash)
        canvas.paint(item, _shade(surface * (0.85 + 0.3 * rng.random()), item, rng), rng=rng)


def _tubes(canvas, rng, depth):
    size = canvas.size
    cx, cy, radius = _place(size, rng, depth)
    colour = _surface(size, rng)
    for _ in range(int(rng.integers(1, 3))):
        points = np.cumsum(rng.normal(0, 0.7, (int(rng.integers(3, 6)), 2)), 0) * radius + (cx, cy)
        mask = _tube(size, [tuple(p) for p in points - points.mean(0) + (cx, cy)], size * (0.01 + 0.05 * rng.random() ** 2))
        canvas.paint(mask, _shade(colour, mask, rng), rng=rng)


# Shapes


def _place(size, rng, depth):
    radius = size * (0.05 + 0.33 * rng.random() ** 1.5) * (0.6 + 0.6 * depth)
    return size * rng.uniform(-0.02, 1.02), size * rng.uniform(0.05, 1.02), radius


def _contour(size, rng, cx, cy, radius, rough=0.3, squash=None, angle=None):
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    r = np.ones_like(t)
    for k in range(2, 12):
        amplitude = (0.08 + 0.5 * rough) / k
        r += amplitude * rng.normal() * np.cos(k * t + rng.random() * 6.3)
    r = radius * np.clip(r, 0.2, 2.0)
    squash = 0.4 + 0.6 * rng.random() if squash is None else squash
    angle = rng.random() * np.pi if angle is None else angle
    u, v = r * np.cos(t), r * np.sin(t) * squash
    x = cx + u * np.cos(angle) - v * np.sin(angle)
    y = cy + u * np.sin(angle) + v * np.cos(angle)
    return _fill(size, list(zip(x, y, strict=True)))


def _fill(size, points):
    image = Image.new("1", (size, size))
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(image)


def _tube(size, points, width):
    """A smooth curve through points, thick in its middle."""
    points = np.asarray(points, np.float64)
    t = np.linspace(0, len(points) - 1, 24)
    base = np.minimum(t.astype(int), len(points) - 2)
    f = (t - base)[:, None]
    f = f * f * (3 - 2 * f) * 0.5 + f * 0.5
    curve = points[base] * (1 - f) + points[base + 1] * f
    image = Image.new("1", (size, size))
    draw = ImageDraw.Draw(image)
    draw.line([tuple(p) for p in curve], fill=1, width=max(2, int(width)), joint="curve")
    return np.asarray(image)


# Surfaces


@lru_cache(maxsize=4)
def _bank(size):
    """Noise of several kinds, made once: uint8 maps of twice the size, in -1..1 as float16."""
    rng = np.random.default_rng(12345)
    maps = []
    side = 2 * size
    for slope in (0.6, 0.8, 1.0, 1.0, 1.3, 1.6):
        for aspect in (1, 1, 5):
            total = np.zeros((side, side), np.float32)
            cells = 4
            while cells <= side:
                grid = rng.normal(0, 1, (max(2, cells // aspect), cells)).astype(np.float32)
                layer = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
                total += np.asarray(layer) * (cells / 4.0) ** -slope
                cells *= 2
            maps.append(((total - total.mean()) / total.std()).astype(np.float16))
    return maps


def _bank_crop(size, rng, index):
    noise = _bank(size)[index]
    y, x = rng.integers(0, size, 2)
    step = 1
    crop = noise[y : y + size, x : x + size] if step == 1 else noise
    if rng.random() < 0.5:
        crop = crop[::-1]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop.T
    return crop.astype(np.float32)


def _noise(size, rng, slope, octaves):
    """Smooth noise, about 0..1."""
    cells = int(rng.integers(2, 5))
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves + 1):
        grid = rng.random((cells, cells)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC)) * 0.5**octave
        cells *= 2
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def _profile(size, rng):
    line = np.zeros(size, np.float32)
    for k in range(1, 24):
        line += rng.normal() / k**1.3 * np.cos(np.linspace(0, np.pi * k, size) + rng.random() * 6.3)
    return (0.5 + line / 4)[None]


PALETTE = np.array(
    [[122, 140, 90], [86, 105, 60], [60, 72, 40], [150, 130, 95], [110, 88, 62], [78, 60, 44],
     [190, 180, 160], [215, 210, 200], [140, 140, 138], [95, 98, 100], [50, 52, 56], [25, 26, 30],
     [150, 185, 215], [110, 150, 195], [70, 100, 140], [200, 170, 140], [225, 190, 160], [160, 110, 85],
     [180, 60, 45], [205, 150, 50], [230, 215, 120], [240, 238, 232], [90, 60, 100], [40, 80, 110]],
    np.float32,
) / 255  # fmt: skip


def _colour(rng):
    colour = PALETTE[rng.integers(len(PALETTE))] + rng.normal(0, 0.06, 3)
    if rng.random() < 0.12:
        colour = rng.random(3)
    return np.clip(colour * np.exp(rng.normal(0, 0.2)), 0.02, 1.0).astype(np.float32)


def _surface(size, rng, colour=None):
    """A textured surface `(S, S, 3)` of about one colour."""
    colour = _colour(rng) if colour is None else colour
    noise = _bank_crop(size, rng, rng.integers(18))
    strength = 0.02 + 0.25 * rng.random() ** 2
    kind = rng.random()
    if kind < 0.2:  # two-coloured blotches
        second = _colour(rng) if rng.random() < 0.6 else colour * 0.6
        edge = rng.random() * 6 + 1
        blend = 1 / (1 + np.exp(-edge * (_bank_crop(size, rng, rng.integers(18)) - rng.normal(0, 0.7))))
        base = colour + (second - colour) * blend[..., None]
    elif kind < 0.3:  # stripes, checks, spots
        y, x = np.mgrid[:size, :size].astype(np.float32) / size
        angle, frequency = rng.random() * np.pi, 4 + 26 * rng.random()
        bend = 0.05 * rng.random() * noise
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle) + bend))
        if rng.random() < 0.4:
            wave = wave * np.sin(2 * np.pi * frequency * (-x * np.sin(angle) + y * np.cos(angle) + bend))
        second = _colour(rng) if rng.random() < 0.5 else colour * 0.65
        base = colour + (second - colour) * (np.clip(wave * (1 + 3 * rng.random()), -1, 1) * 0.5 + 0.5)[..., None]
    else:
        base = np.broadcast_to(colour, (size, size, 3))
    tint = np.array([1, 1, 1], np.float32) + rng.normal(0, 0.15, 3).astype(np.float32)
    return base * (1 + strength * noise[..., None] * tint)


def _shade(colours, mask, rng, strength=1.0):
    """Directional light over an object, from its own extent."""
    size = mask.shape[0]
    y, x = np.nonzero(mask) if mask.any() else (np.array([0]), np.array([0]))
    cx, cy, spread = x.mean(), y.mean(), max(x.std(), y.std(), 1)
    grid_y, grid_x = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.random() * 2 * np.pi
    ramp = ((grid_x - cx) * np.cos(angle) + (grid_y - cy) * np.sin(angle)) / spread
    light = 1 + strength * rng.random() * 0.3 * np.clip(ramp, -2, 2)
    return colours * light[..., None]


def _over(below, mask, above):
    alpha = _blur_mask(mask)[..., None]
    return below * (1 - alpha) + above * alpha


def _blur_mask(mask):
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.BoxBlur(0.6)), np.float32) / 255


# Camera


def _camera(image, rng):
    size = image.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.random() * 6.3
    image = image * (1 + 0.4 * rng.random() * (x * np.cos(angle) + y * np.sin(angle)))[..., None]
    image = image * (1 - 0.5 * rng.random() ** 2 * (x * x + y * y))[..., None]
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.25))
    image = (image - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.05)
    image = image * np.exp(rng.normal(0, 0.06, 3))
    if rng.random() < 0.06:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.random() * size / 150))
    pixels = np.asarray(picture, np.float32)
    if rng.random() < 0.6:
        pixels = pixels + rng.normal(0, 1, pixels.shape).astype(np.float32) * (rng.random() ** 2 * 14)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        picture = Image.open(buffer)
    return np.asarray(picture)


def _pack(image, masks):
    size = image.shape[0]
    shares = [mask.mean() for mask in masks]
    kept = [m for m, share in zip(masks, shares, strict=True) if MIN_SHARE < share < MAX_SHARE]
    kept = sorted(kept, key=lambda m: -int(m.sum()))[:MAX_MASKS]
    bits = np.zeros((size, size), np.uint32)
    for index, mask in enumerate(kept):
        bits |= mask.astype(np.uint32) << np.uint32(index)
    return Scene(image=image, bits=bits, count=len(kept))
