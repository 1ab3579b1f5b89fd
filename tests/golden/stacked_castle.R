# Stacked difference-in-differences on the castle data, as a weighted regression on the stacks.
#
# Written from Wing, Freedman & Hollingsworth (2024), doi:10.3386/w32054: one stack for each cohort
# whose window is inside the panel; comparison states stay without a law through the window; weight 1
# for supported states, (N_Da / N_D) / (N_Ca / N_C) for comparison states, with sums of `popwt` in the
# place of numbers where states are weighted. Errors are clustered by state without a small-sample
# factor: `std_error` of that regression, `std_error_by_stack` of the one in which every stack has its
# own effects (same means of them, to 1e-10), with the shares of cohorts taken as known.
#
#   python -c "import causaldata; causaldata.castle.load_pandas().data[['sid','year','post',
#     'l_homicide','popwt']].astype(float).to_csv('castle.csv', index=False)"
#
# (The data are of single precision; written as such they would be rounded to 8 digits.)
#   Rscript stacked_castle.R castle.csv stacked_castle.csv      # R 4.2.2, base R only; causaldata 0.1.5

arguments <- commandArgs(trailingOnly = TRUE)
castle <- read.csv(arguments[1])
first <- tapply(castle$year + ifelse(castle$post > 0, 0, Inf), castle$sid, min) - 1
castle$first <- first[as.character(castle$sid)]

stacked <- function(before, after, pool, weighted) {
  years <- range(castle$year)
  cohorts <- sort(unique(first[is.finite(first)]))
  cohorts <- cohorts[cohorts - before >= years[1] & cohorts + after <= years[2]]
  stacks <- lapply(cohorts, function(a) {
    clean <- if (pool == "never") !is.finite(castle$first) else castle$first > a + after
    rows <- castle[castle$first == a | clean, ]
    rows <- rows[rows$year >= a - before & rows$year <= a + after, ]
    transform(rows, stack = a, e = year - a, D = as.numeric(first == a))
  })
  data <- do.call(rbind, stacks)
  data$w <- if (weighted) data$popwt else 1
  at <- data[data$e == -1, ]
  n_d <- tapply(at$w * at$D, at$stack, sum)
  n_c <- tapply(at$w * (1 - at$D), at$stack, sum)
  q <- (n_d / sum(n_d)) / (n_c / sum(n_c))
  data$q <- data$w * ifelse(data$D == 1, 1, q[as.character(data$stack)])
  times <- setdiff(-before:after, -1)
  X <- cbind(1, data$D, sapply(times, function(h) data$e == h),
             sapply(times, function(h) data$D * (data$e == h)))
  own <- 2 + length(times) + seq_along(times)
  pooled <- regression(X, data, function(j) replace(numeric(ncol(X)), own[j], 1), times)

  # The same with all effects apart by stack; their means, with the shares of cohorts as weights.
  share <- n_d / sum(n_d)
  columns <- function(a) X * (data$stack == a)
  all <- do.call(cbind, lapply(cohorts, columns))
  mean_of <- function(j) {
    g <- numeric(ncol(all))
    g[(seq_along(cohorts) - 1) * ncol(X) + own[j]] <- share
    g
  }
  apart <- regression(all, data, mean_of, times)
  stopifnot(max(abs(apart$estimate - pooled$estimate)) < 1e-10)
  data.frame(before, after, pool, weighted, event_time = c(times, NA), pooled,
             std_error_by_stack = apart$std_error)
}

regression <- function(X, data, row, times) {
  fit <- lm.wfit(X, data$l_homicide, data$q)
  bread <- solve(crossprod(X * data$q, X))
  V <- bread %*% crossprod(rowsum(X * data$q * fit$residuals, data$sid)) %*% bread
  G <- t(sapply(seq_along(times), row))
  G <- rbind(G, colMeans(G[times >= 0, , drop = FALSE]))
  data.frame(estimate = drop(G %*% fit$coefficients), std_error = sqrt(diag(G %*% V %*% t(G))))
}

asked <- list(c(5, 1), c(3, 2), c(2, 3))
rows <- list()
for (w in asked) for (pool in c("never", "not_yet")) for (weighted in c(FALSE, TRUE))
  rows[[length(rows) + 1]] <- stacked(w[1], w[2], pool, weighted)
options(digits = 17)
write.csv(do.call(rbind, rows), arguments[2], row.names = FALSE)
