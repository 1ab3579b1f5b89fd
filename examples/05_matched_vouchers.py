"""Voucher firms matched first, then compared by cohort and period: step V of the ladder.

A synthetic Korean panel, so that the effect is known. Run it: python 05_matched_vouchers.py
docs/how-to/choose-a-matcher.md says which matcher to use when.
"""

import exportimpact as ei

bench = ei.synthetic.scenario("voucher").draw(n_firms=3000, n_periods=10, seed=1)
panel = ei.Panel.from_frame(
    bench.frame,
    unit="firm_id",
    period="year",
    outcomes=[ei.Outcome("exports", unit="KRW m")],
    baseline=["size", "stage"],
    exit="closed",
)
design = ei.Design(panel, bench.support, outcome="exports", covariates=["size", "stage"])

# Each year's supported firms find firms of the same stage that had about the same chance of support
# at that time. No outcome after support is looked at.
matched = design.match(
    ei.matching.Nearest(distance="propensity", caliper=0.2, exact=["stage"], replace=True)
).seal()
print(matched.matching)
print(matched.balance()[["covariate", "smd_before", "smd_after"]].round(2).to_string(index=False))

# Limits that the match misses would cap every result at step IV, which is not causal.
missed = "; ".join(map(str, matched.terms.missed))
print(f"Limits missed: {missed or 'none'}")

# Firms with the same past are another assumption than parallel trends: the two make a bracket.
same_past = design.match(ei.matching.EntropyBalancing(), lags=2).seal()

results = [
    ei.matched.Benchmark().estimate(design.seal()),  # IV: supported against typical firms
    ei.matched.MatchedDifference(change=False).estimate(matched),  # V-a: matched firms, levels
    ei.matched.MatchedDifference().estimate(matched),  # V-b: change since the base period
    ei.did.GroupTime(adjust="doubly_robust").estimate(matched),  # V-b, by cohort and period
    ei.matched.Weighting().estimate(same_past),  # firms with the same past
]
result = results[3]
path = result.aggregate("event_time").table()
print(path[["event_time", "estimate", "ci_low", "ci_high"]].round(0).to_string(index=False))

evaluation = ei.evaluate(matched, results, ei.diagnose(matched, result), known=bench.truth)
rungs = ["step", "method", "variant", "estimate", "ci_low", "ci_high", "known"]
print(evaluation.ladder()[rungs].round(0).to_string(index=False))
for sentence in evaluation.brackets()["sentence"].unique():
    print(sentence)

for name, figure in (("love", ei.plot.love(matched.balance())), ("paths", ei.plot.paths(matched))):
    figure.figure.savefig(f"{name}.svg")
ei.write_report(evaluation, "matched_report")
print("Open matched_report/report.html")
