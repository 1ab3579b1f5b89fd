# Adjusted p-values of base R and of multcomp's step-down, for tests/golden/test_multiple.py.
#
#   Rscript p_adjust.R > p_adjust.json        # R 4.2.2, multcomp 1.4.22, mvtnorm 1.1.3
suppressMessages(library(multcomp))
p <- list(
  spread = c(0.0004, 0.011, 0.039, 0.2, 0.74, 0.0021, 0.049),
  ties = c(0.01, 0.01, 0.03, 0.03, 0.5),
  missing = c(0.02, NA, 0.004, 0.6, NA, 0.03),
  one = c(0.04)
)
numbers <- function(x) paste0("[", paste(ifelse(is.na(x), "null", sprintf("%.15g", x)), collapse = ", "), "]")
lines <- character()
for (name in names(p)) {
  lines <- c(lines, sprintf('"%s": {"p": %s, "holm": %s, "benjamini_hochberg": %s}', name,
    numbers(p[[name]]), numbers(p.adjust(p[[name]], "holm")), numbers(p.adjust(p[[name]], "BH"))))
}
# Step-down from the joint distribution: multcomp's "free" test of estimates with this covariance.
set.seed(1)
b <- c(0.9, -0.35, 0.42, 0.15, 0.5)
r <- outer(1:5, 1:5, function(i, j) 0.6^abs(i - j))
v <- 0.04 * r
for (df in c(0, 12)) {
  model <- parm(coef = setNames(b, letters[1:5]), vcov = v, df = df)
  found <- summary(glht(model, linfct = diag(5)), test = adjusted("free", maxpts = 5e5, abseps = 1e-5))
  lines <- c(lines, sprintf('"step_down_%d": {"b": %s, "v": %s, "p_adjusted": %s}', df,
    numbers(b), numbers(c(v)), numbers(unname(found$test$pvalues))))
}
cat("{\n  ", paste(lines, collapse = ",\n  "), "\n}\n", sep = "")
