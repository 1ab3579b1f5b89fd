# Triple difference of every cell by stacked estimating equations, with numerical derivatives.
#
#   Rscript tests/golden/triple_difference/ddd.R      (from the root of the project)
#
# Each of three comparisons has the affected supported firms (S = g, Q = 1) against another group:
# (g, 0), plus (never, 1), less (never, 0). glm and lm fit the models; the influence of every firm
# comes from the moments of all parameters together, whose Jacobian is taken numerically. Nothing is
# shared with the package but the paper: Ortiz-Villavicencio & Sant'Anna (2025), arXiv:2505.09942.

library(jsonlite)
here <- "tests/golden/triple_difference"
long <- read.csv(file.path(here, "data.csv"))
firm <- long[long$time == 1, c("id", "group", "partition", "cov1", "cov2", "w")]
y <- sapply(1:3, function(t) long$y[long$time == t])

jacobian <- function(f, at) {
  sapply(seq_along(at), function(k) {
    h <- 1e-5 * max(1, abs(at[k]))
    up <- replace(at, k, at[k] + h)
    down <- replace(at, k, at[k] - h)
    (f(up) - f(down)) / (2 * h)
  })
}

# Effect and influence (as a share of a sum) of one comparison.
pair <- function(dy, d, X, w, method) {
  k <- ncol(X)
  logit <- suppressWarnings(
    glm(d ~ X - 1, family = binomial, weights = w, control = list(epsilon = 1e-15, maxit = 100))
  )
  gamma <- unname(coef(logit))
  beta <- unname(coef(lm(dy ~ X - 1, weights = w, subset = d == 0)))
  kept <- 1 - (d == 0 & fitted(logit) >= 0.995)
  parts <- function(theta) {
    g <- theta[1:k]; b <- theta[k + 1:k]
    p <- plogis(drop(X %*% g))
    r <- if (method == "ipw") dy else dy - drop(X %*% b)
    odds <- if (method == "reg") d * 0 else (1 - d) * kept * p / (1 - p)
    list(p = p, r = r, odds = odds, fit = dy - drop(X %*% b))
  }
  start <- parts(c(gamma, beta))
  mu1 <- sum(w * d * start$r) / sum(w * d)
  mu0 <- if (method == "reg") 0 else sum(w * start$odds * start$r) / sum(w * start$odds)
  theta <- c(gamma, beta, mu1, mu0)
  moments <- function(theta) {
    q <- parts(theta)
    cbind(
      w * (d - q$p) * X,
      w * (1 - d) * q$fit * X,
      w * d * (q$r - theta[2 * k + 1]),
      if (method == "reg") theta[2 * k + 2] + 0 * d else w * q$odds * (q$r - theta[2 * k + 2])
    )
  }
  A <- jacobian(function(v) colSums(moments(v)), theta)
  psi <- -moments(theta) %*% t(solve(A))
  list(effect = mu1 - mu0, psi = psi[, 2 * k + 1] - psi[, 2 * k + 2])
}

cells <- function(method, formula, weight) {
  X <- model.matrix(formula, firm)
  w <- if (weight == "w") firm$w else rep(1, nrow(firm))
  rows <- list()
  for (g in 2:3) for (t in 1:3) if (t != g - 1) {
    dy <- y[, t] - y[, g - 1]
    own <- firm$group == g & firm$partition == 1
    others <- list(
      firm$group == g & firm$partition == 0,
      firm$group == 0 & firm$partition == 1,
      firm$group == 0 & firm$partition == 0
    )
    effect <- 0; psi <- numeric(nrow(firm))
    for (j in 1:3) {
      use <- which(own | others[[j]])
      one <- pair(dy[use], as.numeric(own[use]), X[use, , drop = FALSE], w[use], method)
      sign <- c(1, 1, -1)[j]
      effect <- effect + sign * one$effect
      psi[use] <- psi[use] + sign * one$psi
    }
    rows[[length(rows) + 1]] <- list(
      cohort = g, period = t, estimate = effect, std_error = sqrt(sum(psi^2))
    )
  }
  rows
}

out <- list()
for (method in c("dr", "reg", "ipw")) for (weight in c("unweighted", "w")) {
  out[[paste(method, "none", weight, sep = "/")]] <- cells(method, ~1, weight)
  out[[paste(method, "covariates", weight, sep = "/")]] <- cells(method, ~ cov1 + cov2, weight)
}
text <- toJSON(list(R = R.version.string, cells = out), auto_unbox = TRUE, digits = 12, pretty = TRUE)
writeLines(text, file.path(here, "r.json"))
