"""Models of outcomes without support, on arrays: dummies, influence by reweighting, separation."""

from __future__ import annotations

import numpy as np
import pytest

from exportimpact.errors import NotIdentifiedError
from exportimpact.numerics.concentration import concentration
from exportimpact.numerics.poisson import fit_poisson, separated
from exportimpact.numerics.saturated import Reference, fit_linear

N, PERIODS, START = 60, 6, np.array([6, 3, 4, 5])


def draw(k, *, seed=0, count=False):
    """Firms of four cohorts with gaps: y, observed, used, weight, group, covariates."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 4, N)
    x = rng.normal(2, 3, (N, k))
    link = rng.normal(size=(N, 1)) + 0.5 * group[:, None] + 0.1 * np.arange(PERIODS)
    link = link + (0.02 * x[:, :1] * np.arange(PERIODS) if k else 0.0)
    y = link + rng.normal(size=link.shape)
    if count:
        y = 1.7 * rng.poisson(np.exp(link) * (rng.random(link.shape) < 0.6))
    observed = rng.random(y.shape) < 0.8
    used = observed & (np.arange(PERIODS) < START[group][:, None])
    return y, observed, used, rng.uniform(0.5, 2, N), group, x


def fit(y, used, weight, group, x, *, firm, count):
    given = Reference.of(y, used, weight, group, x, firm_effects=firm)
    return fit_poisson(given).fit if count else fit_linear(given)


def cells(y, observed, used, group, model, weight):
    """Every cell with support: group, period, rows, effect."""
    for g in (1, 2, 3):
        for t in range(START[g], PERIODS):
            rows = np.flatnonzero(observed[:, t] & (group == g) & used.any(axis=1))
            yield g, t, rows, model.effect(g, t, rows, weight[rows], y[rows, t])


every_model = pytest.mark.parametrize(
    ("k", "firm", "count"),
    [(k, firm, count) for k in (0, 2) for firm in (False, True) for count in (False, True)],
)


def columns(z, t, g, firm, rows):
    """Dense dummies of observations (rows, t)."""
    parts = [z[rows] * (t == s)[:, None] for s in range(PERIODS)]
    if firm:
        dummies = np.zeros((rows.size, N))
        dummies[np.arange(rows.size), rows] = 1
        return np.hstack([*parts, dummies])
    return np.hstack([*parts, *(z[rows] * (g[rows] == h)[:, None] for h in range(4))])


@every_model
def test_dummies_give_the_same(k, firm, count):
    y, observed, used, weight, group, x = draw(k, count=count)
    model = fit(y, used, weight, group, x, firm=firm, count=count)
    z = np.column_stack([np.ones(N), (x - 2) / 3])
    idle = firm & count & ~((y > 0) & used).any(axis=1)
    rows, t = np.nonzero(used & ~idle[:, None])
    X, outcome, w = columns(z, t, group, firm, rows), y[rows, t], weight[rows]
    if count:
        beta = _poisson(X, outcome, w)
    else:
        root = np.sqrt(w)
        beta = np.linalg.lstsq(X * root[:, None], outcome * root, rcond=1e-10)[0]
    for _, s, inside, effect in cells(y, observed, used, group, model, weight):
        assert effect.unknown == 0
        link = columns(z, np.full(inside.size, s), group, firm, inside) @ beta
        without = np.where(idle[inside], 0.0, np.exp(link)) if count else link
        expected = np.average(y[inside, s] - without, weights=weight[inside])
        assert effect.estimate == pytest.approx(expected, abs=1e-8)


def _poisson(X, y, w):
    """Newton steps on dense dummies."""
    u, size, _ = np.linalg.svd(X, full_matrices=False)
    q = u[:, size > 1e-10 * size[0]]
    theta = q.T @ np.full(y.size, np.log(y.mean()))
    for _ in range(100):
        mean = np.exp(q @ theta)
        theta = theta + np.linalg.solve((q * (w * mean)[:, None]).T @ q, q.T @ (w * (y - mean)))
    return np.linalg.lstsq(X, q @ theta, rcond=1e-10)[0]


@every_model
def test_influence_is_what_a_firms_weight_does(k, firm, count):
    y, observed, used, weight, group, x = draw(k, count=count, seed=1)
    model = fit(y, used, weight, group, x, firm=firm, count=count)
    found = list(cells(y, observed, used, group, model, weight))
    psi = model.influence(np.column_stack([effect.gradient for *_, effect in found]))
    for c, (_, _, rows, effect) in enumerate(found):
        psi[rows, c] += effect.direct
    np.testing.assert_allclose(psi.sum(axis=0), 0, atol=1e-9 * np.abs(psi).max())
    for i in range(0, N, 7):
        moved = []
        for step in (-1e-4, 1e-4):
            other = weight.copy()
            other[i] *= 1 + step
            again = fit(y, used, other, group, x, firm=firm, count=count)
            moved.append([e.estimate for *_, e in cells(y, observed, used, group, again, other)])
        slope = np.subtract(moved[1], moved[0]) / 2e-4
        np.testing.assert_allclose(psi[i], slope, rtol=1e-5, atol=1e-6 * np.abs(psi).max())


@pytest.mark.parametrize("k", [0, 2])
def test_poisson_reproduces_totals(k):
    y, _, used, weight, group, x = draw(k, count=True)
    given = Reference.of(y, used, weight, group, x, firm_effects=False)
    model = fit_poisson(given).fit
    mean = np.exp(
        np.stack([given.z[i] @ given.local(model.theta, g).T for i, g in enumerate(group)])
    )
    gap = np.where(used, y - mean, 0.0) * weight[:, None]
    for z in given.z.T:
        np.testing.assert_allclose(z @ gap, 0, atol=1e-9)
        by_group = np.bincount(group, z * gap.sum(axis=1), minlength=4)
        np.testing.assert_allclose(by_group, 0, atol=1e-9)


@pytest.mark.parametrize("firm", [False, True])
def test_a_cohort_of_zeros_has_no_counterfactual_of_its_own(firm):
    y, observed, used, weight, group, x = draw(0, count=True)
    y = np.where(group[:, None] == 1, 0.0, y)
    found = fit_poisson(Reference.of(y, used, weight, group, x, firm_effects=firm))
    of_cohort = found.idle[group == 1] if firm else found.separated[group == 1].any(axis=1)
    assert of_cohort[used[group == 1].any(axis=1)].all()
    rows = np.flatnonzero(observed[:, 4] & (group == 1) & used.any(axis=1))
    effect = found.fit.effect(1, 4, rows, weight[rows], y[rows, 4])
    assert effect.unknown == (0 if firm else rows.size)
    assert effect.estimate == 0 or not firm


@pytest.mark.parametrize("firm", [False, True])
def test_a_period_of_zeros_is_not_identified(firm):
    y, observed, used, weight, group, x = draw(0, count=True)
    y[:, 5] = np.where(group == 0, 0.0, y[:, 5])
    found = fit_poisson(Reference.of(y, used, weight, group, x, firm_effects=firm))
    assert (found.separated[:, 5] == used[:, 5])[~found.idle].all()
    assert not found.separated[:, :5].any()
    rows = np.flatnonzero(observed[:, 5] & (group == 1) & used.any(axis=1))
    unknown = found.fit.effect(1, 5, rows, weight[rows], y[rows, 5]).unknown
    assert unknown == (~found.idle[rows]).sum()
    rows = np.flatnonzero(observed[:, 4] & (group == 1) & used.any(axis=1))
    assert found.fit.effect(1, 4, rows, weight[rows], y[rows, 4]).unknown == 0


def test_separation_by_a_covariate():
    y, _, used, weight, group, x = draw(1, count=True)
    kind = (np.arange(N) % 5 == 0).astype(float)
    y = np.where((kind[:, None] == 1) & (np.arange(PERIODS) == 1), 0.0, y)
    given = Reference.of(y, used, weight, group, np.column_stack([x, kind]), firm_effects=False)
    lost = separated(given)
    assert (lost[:, 1] == (used[:, 1] & (kind == 1))).all()
    assert not np.delete(lost, 1, axis=1).any()


def test_no_fit_without_convergence(monkeypatch):
    monkeypatch.setattr("exportimpact.numerics.poisson._MAX_ITERATIONS", 1)
    y, _, used, weight, group, x = draw(2, count=True)
    with pytest.raises(NotIdentifiedError, match="did not converge") as error:
        fit_poisson(Reference.of(y, used, weight, group, x, firm_effects=False))
    assert error.value.code == "EI-E38"


def test_nobody_contributes_to_nothing():
    assert concentration(np.zeros(5)) is None
