"""Objects of a scene, painted with their parts.

Each function paints one object, or several of a kind, at a random position. `depth` is the
nearness in [0, 1]; nearer objects are larger.
"""

import numpy as np

from recipes.sam_tiny_synthetic.scenes.canvas import Canvas
from recipes.sam_tiny_synthetic.scenes.shapes import (
    draw_contour,
    fill_polygon,
    fill_tube,
    random_placement,
)
from recipes.sam_tiny_synthetic.scenes.surfaces import (
    paste,
    random_color,
    random_surface,
    shade,
    smooth_noise,
)

Rng = np.random.Generator


def draw_blob(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint a smooth shape, sometimes with a patch of another surface."""
    size = canvas.size
    placement = random_placement(size, rng, depth)
    mask = draw_contour(size, rng, *placement, roughness=rng.random() ** 2)
    parts = []
    colors = shade(random_surface(size, rng), mask, rng)
    if rng.random() < 0.35:
        patch = mask & (smooth_noise(size, rng, 2) > 0.55)
        colors = paste(colors, patch, shade(random_surface(size, rng), mask, rng))
        parts.append(patch)
    canvas.paint(mask, colors, rng=rng, parts=parts)


def draw_ellipse(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint a ball or disc, sometimes with a core."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    angle, aspect = rng.random() * np.pi, 0.3 + 0.7 * rng.random()
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    distance = (u / radius) ** 2 + (v / radius / aspect) ** 2
    mask = distance < 1
    parts = []
    colors = random_surface(size, rng)
    colors = colors * (1.15 - 0.5 * np.clip(distance, 0, 1))[..., None]
    if rng.random() < 0.4:
        core = distance < (0.3 + 0.5 * rng.random()) ** 2
        colors = paste(colors, core, random_surface(size, rng))
        parts.append(core)
    canvas.paint(mask, shade(colors, mask, rng), rng=rng, parts=parts)


def draw_polygon(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint a polygon, often four-sided, sometimes with a frame."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.random(corners)) * 2 * np.pi
    if rng.random() < 0.5:
        angles = (np.arange(4) + 0.5) * np.pi / 2 + rng.normal(0, 0.15, 4) + rng.random()
    stretch = np.exp(rng.normal(0, 0.4))
    x = cx + radius * np.cos(angles) * stretch
    y = cy + radius * np.sin(angles) / stretch
    mask = fill_polygon(size, list(zip(x, y, strict=True)))
    colors = shade(random_surface(size, rng), mask, rng)
    parts = []
    if rng.random() < 0.4:
        scale = 0.4 + 0.4 * rng.random()
        inner_corners = zip(cx + (x - cx) * scale, cy + (y - cy) * scale, strict=True)
        inner = fill_polygon(size, list(inner_corners))
        colors = paste(colors, inner, random_surface(size, rng))
        parts.append(inner)
    canvas.paint(mask, colors, rng=rng, parts=parts)


def draw_animal(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint legs, a tail, a body and a head of related colors."""
    size = canvas.size
    placement = random_placement(size, rng, depth)
    fur = random_color(rng)
    pieces = _animal_pieces(size, rng, placement)
    whole = np.logical_or.reduce(pieces)
    surface = random_surface(size, rng, fur)
    colors = surface
    for piece in pieces:
        tint = surface * (0.75 + 0.45 * rng.random())
        if rng.random() < 0.2:
            tint = random_surface(size, rng)
        colors = paste(colors, piece, shade(tint, piece, rng, 0.4))
    covered = np.zeros_like(whole)
    visible = []
    for piece in reversed(pieces):  # the last one is in front
        visible.append(piece & ~covered)
        covered |= piece
    parts = [part for part in visible if rng.random() < 0.7]
    canvas.paint(whole, colors, rng=rng, parts=parts)


def _animal_pieces(size: int, rng: Rng, placement: tuple[float, float, float]) -> list[np.ndarray]:
    """Draw the masks of an animal's legs, tail, body and head, from back to front."""
    cx, cy, radius = placement
    direction = -1 if rng.random() < 0.5 else 1
    tilt = rng.normal(0, 0.25)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])

    def to_image(u: float, v: float) -> tuple[float, float]:
        x, y = rotation @ np.array([u * direction, v]) * radius
        return cx + x, cy + y

    legs = []
    for u in np.linspace(-0.55, 0.5, int(rng.integers(2, 5))):
        width = radius * (0.1 + 0.08 * rng.random())
        knee, foot = u + rng.normal(0, 0.1), u + rng.normal(0, 0.15)
        legs.append(
            fill_tube(size, [to_image(u, 0.2), to_image(knee, 0.6), to_image(foot, 1.0)], width)
        )
    middle, end = -0.3 + rng.normal(0, 0.2), -0.4 + rng.normal(0, 0.3)
    tail_points = [to_image(-0.7, -0.1), to_image(-1.0, middle), to_image(-1.3, end)]
    tail = fill_tube(size, tail_points, radius * 0.08)
    aspect = 0.4 + 0.3 * rng.random()
    body = draw_contour(
        size, rng, *to_image(0, 0), radius * 0.75, roughness=0.15, aspect=aspect, angle=tilt
    )
    head_center = to_image(0.8 + 0.2 * rng.random(), -0.4 * rng.random() - 0.15)
    head_radius = radius * (0.25 + 0.2 * rng.random())
    head = draw_contour(size, rng, *head_center, head_radius, roughness=0.1)
    return [*legs, tail, body, head]


def draw_building(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint a wall with windows, sometimes with a roof."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    w, h = radius * (0.4 + 0.6 * rng.random()), radius * (0.6 + 0.9 * rng.random())
    lean = rng.normal(0, 0.1) * h
    left, right, top, bottom = cx - w, cx + w, cy - h, cy + h
    wall = fill_polygon(size, [(left, top), (right, top + lean), (right, bottom), (left, bottom)])
    colors = shade(random_surface(size, rng), wall, rng, 0.3)
    windows = _building_windows(size, rng, (left, top, w, h), lean)
    colors = paste(colors, np.logical_or.reduce(windows), random_surface(size, rng))
    parts = windows if len(windows) < 7 else []
    whole = wall
    if rng.random() < 0.5:
        peak = (cx + rng.normal(0, 0.3) * w, top - w * (0.4 + rng.random()))
        roof = fill_polygon(size, [(cx - 1.15 * w, top), peak, (cx + 1.15 * w, top + lean)])
        colors = paste(colors, roof, shade(random_surface(size, rng), roof, rng, 0.3))
        whole = wall | roof
        parts = [*parts, roof, wall & ~roof]
    canvas.paint(whole, colors, rng=rng, parts=parts[:8])


def _building_windows(
    size: int, rng: Rng, wall: tuple[float, float, float, float], lean: float
) -> list[np.ndarray]:
    """Draw masks of windows in rows on a wall: its left, top, half width and half height."""
    left, top, w, h = wall
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    width, height = w / columns, h / rows
    windows = []
    for row, column in np.ndindex(rows, columns):
        x = left + 2 * w * (column + 0.25) / columns
        y = top + 2 * h * (row + 0.25) / rows + lean * (column + 0.5) / columns
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        windows.append(fill_polygon(size, corners))
    return windows


def draw_plant(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint a trunk and a crown."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    middle, top = cx + rng.normal(0, 0.1) * radius, cx + rng.normal(0, 0.2) * radius
    trunk_points = [(cx, cy + radius), (middle, cy), (top, cy - 0.5 * radius)]
    trunk = fill_tube(size, trunk_points, radius * (0.05 + 0.1 * rng.random()))
    crown = np.zeros_like(trunk)
    for _ in range(int(rng.integers(1, 7))):
        x = cx + rng.normal(0, 0.35) * radius
        y = cy - (0.4 + 0.5 * rng.random()) * radius
        crown |= draw_contour(size, rng, x, y, radius * (0.3 + 0.3 * rng.random()), roughness=0.6)
    colors = shade(random_surface(size, rng), trunk, rng)
    colors = paste(colors, crown, shade(random_surface(size, rng), crown, rng))
    canvas.paint(trunk | crown, colors, rng=rng, parts=[trunk & ~crown, crown])


def draw_cluster(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint 3 to 9 similar blobs in a row or a heap, each with its own mask."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    count = int(rng.integers(3, 10))
    item_radius = radius * (0.2 + 0.25 * rng.random())
    surface = random_surface(size, rng)
    in_row = rng.random() < 0.5
    aspect, roughness = 0.5 + 0.5 * rng.random(), 0.4 * rng.random()
    direction = rng.random() * np.pi
    for index in range(count):
        if in_row:
            offset = (index - count / 2) * item_radius * 2.1
            x, y = cx + offset * np.cos(direction), cy + offset * np.sin(direction)
        else:
            x, y = cx + rng.normal(0, radius), cy + rng.normal(0, radius)
        item = draw_contour(size, rng, x, y, item_radius, roughness=roughness, aspect=aspect)
        canvas.paint(item, shade(surface * (0.85 + 0.3 * rng.random()), item, rng), rng=rng)


def draw_tubes(canvas: Canvas, rng: Rng, depth: float) -> None:
    """Paint one or two thin curves."""
    size = canvas.size
    cx, cy, radius = random_placement(size, rng, depth)
    color = random_surface(size, rng)
    for _ in range(int(rng.integers(1, 3))):
        points = np.cumsum(rng.normal(0, 0.7, (int(rng.integers(3, 6)), 2)), 0) * radius + (cx, cy)
        centered = points - points.mean(0) + (cx, cy)
        width = size * (0.01 + 0.05 * rng.random() ** 2)
        mask = fill_tube(size, [tuple(point) for point in centered], width)
        canvas.paint(mask, shade(color, mask, rng), rng=rng)
