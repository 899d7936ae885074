"""Things in a scene, each painted with its parts."""

import numpy as np

from recipes.sam_tiny_synthetic.canvas import Canvas
from recipes.sam_tiny_synthetic.shapes import contour, fill_polygon, fill_tube, random_place
from recipes.sam_tiny_synthetic.surfaces import (
    paste,
    random_color,
    random_surface,
    shade,
    smooth_noise,
)

Rng = np.random.Generator


def draw_blob(canvas: Canvas, rng: Rng, depth: float) -> None:
    """A smooth shape, at times with a patch of another surface."""
    mask = contour(
        canvas.size, rng, *random_place(canvas.size, rng, depth), rough=rng.random() ** 2
    )
    parts = []
    colors = shade(random_surface(canvas.size, rng), mask, rng)
    if rng.random() < 0.35:
        inner = mask & (smooth_noise(canvas.size, rng, 2) > 0.55)
        colors = paste(colors, inner, shade(random_surface(canvas.size, rng), mask, rng))
        parts.append(inner)
    canvas.paint(mask, colors, rng=rng, parts=parts)


def draw_ellipse(canvas: Canvas, rng: Rng, depth: float) -> None:
    """A ball or disc, at times with a core."""
    cx, cy, radius = random_place(canvas.size, rng, depth)
    y, x = np.mgrid[: canvas.size, : canvas.size].astype(np.float32)
    angle, squash = rng.random() * np.pi, 0.3 + 0.7 * rng.random()
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    distance = (u / radius) ** 2 + (v / radius / squash) ** 2
    mask = distance < 1
    parts = []
    colors = random_surface(canvas.size, rng)
    colors = colors * (1.15 - 0.5 * np.clip(distance, 0, 1))[..., None]
    if rng.random() < 0.4:
        inner = distance < (0.3 + 0.5 * rng.random()) ** 2
        colors = paste(colors, inner, random_surface(canvas.size, rng))
        parts.append(inner)
    canvas.paint(mask, shade(colors, mask, rng), rng=rng, parts=parts)


def draw_polygon(canvas: Canvas, rng: Rng, depth: float) -> None:
    """A polygon or box, at times with a frame."""
    cx, cy, radius = random_place(canvas.size, rng, depth)
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.random(corners)) * 2 * np.pi
    if rng.random() < 0.5:
        angles = (np.arange(4) + 0.5) * np.pi / 2 + rng.normal(0, 0.15, 4) + rng.random()
    stretch = np.exp(rng.normal(0, 0.4))
    points = [
        (cx + radius * np.cos(a) * stretch, cy + radius * np.sin(a) / stretch) for a in angles
    ]
    mask = fill_polygon(canvas.size, points)
    colors = shade(random_surface(canvas.size, rng), mask, rng)
    parts = []
    if rng.random() < 0.4:
        shrink = 0.4 + 0.4 * rng.random()
        inner = fill_polygon(
            canvas.size, [(cx + (px - cx) * shrink, cy + (py - cy) * shrink) for px, py in points]
        )
        colors = paste(colors, inner, random_surface(canvas.size, rng))
        parts.append(inner)
    canvas.paint(mask, colors, rng=rng, parts=parts)


def draw_animal(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Body, head, legs and a tail: parts with related colors that make one whole."""
    size = canvas.size
    cx, cy, radius = random_place(size, rng, depth)
    fur = random_color(rng)
    flip = -1 if rng.random() < 0.5 else 1
    tilt = rng.normal(0, 0.25)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])

    def at(u: float, v: float) -> tuple[float, float]:
        p = turn @ np.array([u * flip, v]) * radius
        return cx + p[0], cy + p[1]

    limbs = []
    for u in np.linspace(-0.55, 0.5, int(rng.integers(2, 5))):
        width = radius * (0.1 + 0.08 * rng.random())
        limbs.append(
            fill_tube(
                size,
                [at(u, 0.2), at(u + rng.normal(0, 0.1), 0.6), at(u + rng.normal(0, 0.15), 1.0)],
                width,
            )
        )
    tail = fill_tube(
        size,
        [at(-0.7, -0.1), at(-1.0, -0.3 + rng.normal(0, 0.2)), at(-1.3, -0.4 + rng.normal(0, 0.3))],
        radius * 0.08,
    )
    body = contour(
        size, rng, *at(0, 0), radius * 0.75, rough=0.15, squash=0.4 + 0.3 * rng.random(), angle=tilt
    )
    head = contour(
        size,
        rng,
        *at(0.8 + 0.2 * rng.random(), -0.4 * rng.random() - 0.15),
        radius * (0.25 + 0.2 * rng.random()),
        rough=0.1,
    )
    pieces = [*limbs, tail, body, head]
    whole = np.logical_or.reduce(pieces)
    surface = random_surface(size, rng, fur)
    colors = surface
    for piece in pieces:
        tint = surface * (0.75 + 0.45 * rng.random())
        if rng.random() < 0.2:
            tint = random_surface(size, rng)
        colors = paste(colors, piece, shade(tint, piece, rng, 0.4))
    seen = np.zeros_like(whole)
    kept = []
    for piece in reversed(pieces):
        kept.append(piece & ~seen)
        seen |= piece
    canvas.paint(whole, colors, rng=rng, parts=[part for part in kept if rng.random() < 0.7])


def draw_building(canvas: Canvas, rng: Rng, depth: float) -> None:
    """A wall with windows, at times a roof."""
    size = canvas.size
    cx, cy, radius = random_place(size, rng, depth)
    w, h = radius * (0.4 + 0.6 * rng.random()), radius * (0.6 + 0.9 * rng.random())
    lean = rng.normal(0, 0.1) * h
    box = [(cx - w, cy - h), (cx + w, cy - h + lean), (cx + w, cy + h), (cx - w, cy + h)]
    wall = fill_polygon(size, box)
    colors = shade(random_surface(size, rng), wall, rng, 0.3)
    parts = []
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    windows = np.zeros_like(wall)
    for i in range(rows):
        for j in range(columns):
            x0 = cx - w + 2 * w * (j + 0.25) / columns
            y0 = cy - h + 2 * h * (i + 0.25) / rows + lean * (j + 0.5) / columns
            window = fill_polygon(
                size,
                [
                    (x0, y0),
                    (x0 + w / columns, y0),
                    (x0 + w / columns, y0 + h / rows),
                    (x0, y0 + h / rows),
                ],
            )
            windows |= window
            if rows * columns < 7:
                parts.append(window)
    colors = paste(colors, windows, random_surface(size, rng))
    whole = wall
    if rng.random() < 0.5:
        roof = fill_polygon(
            size,
            [
                (cx - 1.15 * w, cy - h),
                (cx + rng.normal(0, 0.3) * w, cy - h - w * (0.4 + rng.random())),
                (cx + 1.15 * w, cy - h + lean),
            ],
        )
        colors = paste(colors, roof, shade(random_surface(size, rng), roof, rng, 0.3))
        whole = wall | roof
        parts += [roof, wall & ~roof]
    canvas.paint(whole, colors, rng=rng, parts=parts[:8])


def draw_plant(canvas: Canvas, rng: Rng, depth: float) -> None:
    """A trunk and a crown."""
    size = canvas.size
    cx, cy, radius = random_place(size, rng, depth)
    trunk = fill_tube(
        size,
        [
            (cx, cy + radius),
            (cx + rng.normal(0, 0.1) * radius, cy),
            (cx + rng.normal(0, 0.2) * radius, cy - 0.5 * radius),
        ],
        radius * (0.05 + 0.1 * rng.random()),
    )
    crown = np.zeros_like(trunk)
    for _ in range(int(rng.integers(1, 7))):
        crown |= contour(
            size,
            rng,
            cx + rng.normal(0, 0.35) * radius,
            cy - (0.4 + 0.5 * rng.random()) * radius,
            radius * (0.3 + 0.3 * rng.random()),
            rough=0.6,
        )
    colors = shade(random_surface(size, rng), trunk, rng)
    colors = paste(colors, crown, shade(random_surface(size, rng), crown, rng))
    canvas.paint(trunk | crown, colors, rng=rng, parts=[trunk & ~crown, crown])


def draw_cluster(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Repeated things, each a mask."""
    size = canvas.size
    cx, cy, radius = random_place(size, rng, depth)
    count = int(rng.integers(3, 10))
    small = radius * (0.2 + 0.25 * rng.random())
    surface = random_surface(size, rng)
    in_row = rng.random() < 0.5
    squash, rough = 0.5 + 0.5 * rng.random(), 0.4 * rng.random()
    direction = rng.random() * np.pi
    for index in range(count):
        if in_row:
            step = (index - count / 2) * small * 2.1
            x, y = cx + step * np.cos(direction), cy + step * np.sin(direction)
        else:
            x, y = cx + rng.normal(0, radius), cy + rng.normal(0, radius)
        item = contour(size, rng, x, y, small, rough=rough, squash=squash)
        canvas.paint(item, shade(surface * (0.85 + 0.3 * rng.random()), item, rng), rng=rng)


def draw_tubes(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Curved thin things."""
    size = canvas.size
    cx, cy, radius = random_place(size, rng, depth)
    color = random_surface(size, rng)
    for _ in range(int(rng.integers(1, 3))):
        points = np.cumsum(rng.normal(0, 0.7, (int(rng.integers(3, 6)), 2)), 0) * radius + (cx, cy)
        mask = fill_tube(
            size,
            [tuple(p) for p in points - points.mean(0) + (cx, cy)],
            size * (0.01 + 0.05 * rng.random() ** 2),
        )
        canvas.paint(mask, shade(color, mask, rng), rng=rng)
