"""raycast: where rays meet solids, against marching along them with an inside test written apart."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pixelnet.data.scenes.raycast import SKY, Box, Cone, Cylinder, Floor, Sphere, cast


def in_own_frame(solid, points):
    """World points (..., 3) relative to the middle of the base, with the yaw undone by SciPy."""
    return (points - np.array(solid.position)) @ Rotation.from_euler("y", solid.yaw).as_matrix()


def inside(solid, points, grow=0.0):
    """Whether world points (..., 3) are inside a solid made larger by `grow` meters."""
    x, y, z = np.moveaxis(in_own_frame(solid, points), -1, 0)
    wide, tall, deep = solid.size
    upright = (-tall - grow < y) & (y < grow)
    if isinstance(solid, Sphere):
        return x**2 + (y + wide) ** 2 + z**2 < (wide + grow) ** 2
    if isinstance(solid, Box):
        return upright & (abs(x) < wide + grow) & (abs(z) < deep + grow)
    if isinstance(solid, Cylinder):
        return upright & (np.hypot(x, z) < wide + grow)
    return upright & (np.hypot(x, z) < wide * (1 + y / tall) + grow)


@st.composite
def solids(draw):
    number = st.floats(0.2, 1.5)
    kind = draw(st.sampled_from([Sphere, Box, Cylinder, Cone]))
    wide, tall, deep = draw(number), draw(number), draw(number)
    size = {Sphere: (wide, 2 * wide, wide), Box: (wide, tall, deep)}.get(kind, (wide, tall, wide))
    return kind((draw(st.floats(-2, 2)), 0.0, draw(st.floats(3, 6))), draw(st.floats(-3, 3)), size)


@settings(max_examples=60, deadline=None)
@given(solid=solids(), seed=st.integers(0, 2**32 - 1))
def test_a_ray_meets_a_solid_where_marching_along_it_first_finds_the_inside(solid, seed):
    rng = np.random.default_rng(seed)
    origin = rng.uniform((-3, -4, -1), (3, -2.5, 1), (30, 3))
    target = np.array(solid.position) + rng.uniform((-1.5, -1.5, -1.5), (1.5, 0, 1.5), (30, 3))
    direction = target - origin
    steps = np.linspace(0, 3, 3001)
    found = inside(solid, origin[:, None] + steps[:, None] * direction[:, None])
    first = np.where(found.any(1), steps[found.argmax(1)], np.inf)
    length = found.sum(1)
    t, face = solid.hit(solid.own_points(origin.T), solid.own_directions(direction.T))
    sure = (length > 2) | (length == 0)  # between, the march may step over what the ray meets
    short = (length == 0) & np.isfinite(t)  # a chord of less than two steps is no contradiction
    middle = origin + np.where(np.isfinite(t), t + 2e-3, 0)[:, None] * direction
    assert not inside(solid, middle, grow=-1e-2)[short].any()
    check = sure & ~short
    assert (np.isfinite(t) == np.isfinite(first))[check].all()
    hit = check & np.isfinite(t)
    np.testing.assert_allclose(t[hit], first[hit], atol=1.01e-3)
    # The normal points out: a step along it leaves the solid, a step against it enters.
    met = (origin + np.where(hit, t, 0)[:, None] * direction)[hit]
    normal = solid.world_directions(solid.normal(solid.own_points(met.T), face[hit])).T
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-12)
    assert not inside(solid, met + 1e-6 * normal).any()
    assert inside(solid, met - 1e-6 * normal, grow=1e-9).all()
    assert (normal * direction[hit]).sum(1).max(initial=-1) < 0


def test_a_steep_ray_meets_the_cone_and_not_its_mirror_image():
    cone = Cone((0.0, 0.0, 4.0), 0.3, (0.5, 1.0, 0.5))
    down = np.array([[0.0], [1.0], [0.0]])
    x = np.array([0.0, 0.1, 0.25, 0.49, 0.51])
    origin = np.stack([x, np.full(5, -3.0), np.full(5, 4.0)])
    t, face = cone.hit(cone.own_points(origin), cone.own_directions(down))
    np.testing.assert_allclose(t, [2, 2.2, 2.5, 2.98, np.inf])  # the mantle is 1 - x / 0.5 high there
    up, _ = cone.hit(cone.own_points(origin * [[1], [-1], [1]]), cone.own_directions(-down))
    np.testing.assert_allclose(up, [3, 3, 3, 3, np.inf])  # from below the ground, through the base
    assert (face[:4] == 0).all()


def test_rays_that_meet_nothing_are_sky():
    up = np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    hits = cast((Floor((0.0, 0.0, 0.0), 0.0, 10.0),), np.array([[0.0], [-1.0], [0.0]]), up)
    assert (hits.surface == SKY).all()
    assert np.isinf(hits.t).all()
