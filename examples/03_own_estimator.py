"""A method of your own in 20 lines: it gets intervals, aggregation, clustering and the report.

The method takes a cell (a cohort in a period, with the firms that it is compared with) and returns
an estimate and its influence function; everything else is written once, in the package.
Run it: python 03_own_estimator.py
"""

from dataclasses import dataclass

import numpy as np

import exportimpact as ei


@ei.estimator(
    id="median_did",
    title="Difference of median changes",
    reference="an example; medians by the usual density argument",
    step="V-b",
    requires={"parallel_trends", "no_anticipation"},
)
@dataclass(frozen=True, kw_only=True)
class MedianDiD:
    """Median change of supported firms less that of comparison firms."""

    def estimate(self, design, *, rng=None):
        """Estimate every cell of the design."""
        wide, cells = design.wide(), ei.CellBuilder(design, self)
        for cell in design.cells():
            change = wide.change(cell)
            n = cell.supported.size
            medians, influence = [], []
            for part in (change[:n], change[n:]):
                median = np.median(part)
                spread = np.subtract(*np.percentile(part, [75, 25])) / 1.349
                width = 1.06 * spread * part.size**-0.2
                kernel = np.exp(-(((part - median) / width) ** 2) / 2)
                density = kernel.mean() / width / np.sqrt(2 * np.pi)
                medians.append(median)
                influence.append(np.sign(part - median) / (2 * density * part.size))
            psi = np.concatenate([influence[0], -influence[1]])
            cells.add(cell, estimate=medians[0] - medians[1], influence=psi, sampled=True)
        return cells.result()


bench = ei.synthetic.scenario("random_rollout").draw(n_firms=1500, n_periods=8, seed=2)
outcome = bench.panel.outcomes[0].name
sealed = ei.Design(bench.panel, bench.support, outcome=outcome).seal()
for estimator in (MedianDiD(), ei.did.GroupTime(adjust="none")):
    overall = estimator.estimate(sealed).overall("simple")
    truth = bench.truth.value(overall.estimand)
    print(
        f"{estimator.spec.title}: {overall.estimate:.4f} "
        f"[{overall.ci_low:.4f}, {overall.ci_high:.4f}], true effect {truth:.4f}"
    )
