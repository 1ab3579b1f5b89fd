"""One effect by several difference-in-differences estimators, held against each other.

A synthetic panel with known effects that grow over time. Run it: python 06_did_estimators.py
docs/how-to/choose-a-did-estimator.md says which estimator to use when.
"""

import exportimpact as ei

bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=1500, n_periods=8, seed=1)
design = ei.Design(bench.panel, bench.support, outcome="ln_exports", comparison="not_yet").seal()

results = [
    ei.matched.Benchmark().estimate(design),  # IV: supported against typical firms
    ei.did.GroupTime().estimate(design),  # each cohort against firms not supported yet
    ei.did.Imputation().estimate(design),  # against what all untreated observations predict
    ei.did.Stacked(window=(2, 1)).estimate(design),  # the same window around every cohort
    ei.did.TwoWayFixedEffects().estimate(design),  # for contrast: one effect for everybody
]
headline = results[1]
print(headline.aggregate("event_time").bands()[["event_time", "estimate", "band_low", "band_high"]])
print(headline.pretrend_test())

# The same cells by each method, the test that they agree, and how far they are apart. The two-way
# regression has one effect for all cells; where effects grow, that is no average of them.
compared = ei.compare(results[1:3])
print(compared)
contrast = results[4]
print(f"Two-way fixed effects: {contrast.overall().estimate:.3f}")
print(f"Known effect: {bench.truth.value(headline.overall().estimand):.3f}")
weights = next(e for e in contrast.exhibits if e.kind == "twfe_weights").table
print(weights.round(3).to_string(index=False))

# For whom: the effect by size, and whether sizes differ.
by_size = ei.subgroups(ei.did.GroupTime(), design, by="size_class")
print(by_size)

findings = ei.diagnose(design, headline)
beside = {"ln_exports": (compared.exhibit, by_size.exhibit)}
evaluation = ei.evaluate(design, results, findings, known=bench.truth, exhibits=beside)
ei.write_report(evaluation, "did_report")
print("Open did_report/report.html")
