"""What did training grants do to firms? A first evaluation in Python, on real data.

Job-training grants to Michigan manufacturers, 157 firms, 1987 to 1989 (Holzer, Block, Cheatham &
Knott 1993). Run it: python 01_grants.py
"""

from linearmodels.datasets import jobtraining

import exportimpact as ei

# Two tables: one row per firm and year, and one row per grant.
data = jobtraining.load()
grants = data.loc[data["grant"] == 1, ["fcode", "year"]]

panel = ei.Panel.from_frame(
    data,
    unit="fcode",
    period="year",
    outcomes=[
        ei.Outcome("training", column="hrsemp", unit="hours per employee"),
        ei.Outcome("scrap_rate", column="scrap", unit="per 100 items", scale="log"),
    ],
)
support = ei.Assignment.from_spells(grants, unit="fcode", start="year")
print(panel)

# The design is settled, and sealed with a hash, before any effect is looked at.
sealed = ei.Design(panel, support, outcome="training", comparison="not_yet").seal()
print(sealed)

# Step IV of the ladder: supported firms against all others, which is not causal.
benchmark = ei.matched.Benchmark().estimate(sealed)
# Step V-b: change since the year before the grant, against firms not yet supported.
result = ei.did.GroupTime(adjust="none").estimate(sealed)

print(result.table())  # one row per cohort and year
print(result.aggregate("event_time").table())
overall = result.overall("simple")
print(f"{overall.estimand}: {overall.estimate:.1f} [{overall.ci_low:.1f}, {overall.ci_high:.1f}]")

# How far can it be trusted? With one year before the first grants, trends cannot be tested.
findings = ei.diagnose(sealed, result)
for finding in findings:
    print(finding)

plan = ei.Plan(
    title="Michigan job-training grants",
    question="Did grants raise hours of training?",
    objectives=(ei.Objective(outcome="training", text="More training per employee."),),
)
evaluation = ei.evaluate(sealed, [benchmark, result], findings, plan=plan)
ei.write_report(evaluation, "grants_report")
print("Open grants_report/report.html")
