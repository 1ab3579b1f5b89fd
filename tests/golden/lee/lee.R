# Lee (2009) bounds, written from the paper (doi:10.1111/j.1467-937X.2009.00536.x) in plain R.
# No package of R has these with weights, shared ties and covariates. Nothing here is shared with
# exportimpact: bounds sort and fill up to the trimmed share; errors are Proposition 3's formula,
# numerical derivatives with respect to each weight, and the bootstrap.
#
#   python export.py nsw.csv && Rscript lee.R nsw.csv > lee.json        (R 4.2.2)

data <- read.csv(commandArgs(trailingOnly = TRUE)[1])
n <- nrow(data)

# Mean of the lowest (or highest) part of y that has the weight `mass`; the last one in is split.
part_mean <- function(y, w, mass, highest) {
  o <- order(y, decreasing = highest)
  y <- y[o]; w <- w[o]
  before <- cumsum(w) - w
  taken <- pmax(pmin(w, mass - before), 0)
  sum(taken * y) / sum(taken)
}

lee <- function(y, s, d, w) {
  share <- sapply(0:1, function(k) sum(w[s & d == k]) / sum(w[d == k]))
  more <- if (share[2] >= share[1]) 1 else 0        # the side that is trimmed
  keep <- min(share) / max(share)
  a <- s & d == more; b <- s & d != more
  other <- sum(w[b] * y[b]) / sum(w[b])
  ends <- sapply(c(FALSE, TRUE), function(h) part_mean(y[a], w[a], keep * sum(w[a]), h))
  both <- sort((ends - other) * (if (more == 1) 1 else -1))
  c(low = both[1], high = both[2])
}

# Within groups, averaged over the selected of the untrimmed side of each group.
tight <- function(y, s, d, w, g) {
  side <- sapply(0:1, function(k) sum(w[d == k]))
  out <- sapply(sort(unique(g)), function(x) {
    i <- g == x
    share <- sapply(0:1, function(k) sum(w[i & s & d == k]) / sum(w[i & d == k]))
    fewer <- if (share[2] >= share[1]) 0 else 1
    c(lee(y[i], s[i], d[i], w[i]), sum(w[i & s & d == fewer]) / side[fewer + 1])
  })
  c(low = sum(out[1, ] * out[3, ]) / sum(out[3, ]), high = sum(out[2, ] * out[3, ]) / sum(out[3, ]))
}

# Proposition 3, for weights of one: trimmed treated, V(trimmed) + V(share) + V(control), over n.
proposition3 <- function(y, s, d, highest) {
  a <- y[s & d == 1]; b <- y[s & d == 0]
  alpha <- mean(s[d == 0]); p <- 1 - alpha / mean(s[d == 1])
  keep <- (1 - p) * length(a)
  o <- sort(a, decreasing = highest)
  taken <- pmax(pmin(1, keep - (seq_along(o) - 1)), 0)
  mu <- sum(taken * o) / keep
  v <- sum(taken * (o - mu)^2) / keep
  q <- o[ceiling(keep - 1e-9)]
  es <- mean(s & d == 1)
  vp <- (1 - p)^2 * ((1 - alpha / (1 - p)) / (mean(d) * alpha / (1 - p)) +
                     (1 - alpha) / ((1 - mean(d)) * alpha))
  va <- v / (es * (1 - p)) + (q - mu)^2 * p / (es * (1 - p)) + ((q - mu) / (1 - p))^2 * vp
  vc <- mean((b - mean(b))^2) / mean(s & d == 0)
  sqrt((va + vc) / length(y))
}

# sqrt of the sum of (w dT/dw)^2, by central differences.
derivative_se <- function(f, w) {
  psi <- sapply(seq_along(w), function(i) {
    h <- 1e-6
    up <- w; up[i] <- w[i] * (1 + h)
    down <- w; down[i] <- w[i] * (1 - h)
    (f(up) - f(down)) / (2 * h)
  })
  sqrt(rowSums(psi^2))
}

imbens_manski <- function(low, high, se, level = 0.95) {
  f <- function(c) pnorm(c + (high - low) / max(se)) - pnorm(-c) - level
  c <- uniroot(f, c(0, 10), tol = 1e-14)$root
  c(low - c * se[1], high + c * se[2])
}

show <- function(id, values) sprintf('  "%s": [%s]', id, paste(sprintf("%.12g", values), collapse = ", "))

s <- data$re78 > 0; d <- data$treat; one <- rep(1, n)
w <- 1 + data$age %% 5
thousand <- 1000 * ceiling(data$re78 / 1000)
logs <- log(ifelse(s, data$re78, 1))
found <- c(
  show("level", lee(data$re78, s, d, one)),
  show("level_se", sapply(c(FALSE, TRUE), function(h) proposition3(data$re78, s, d, h))),
  show("log", lee(logs, s, d, one)),
  show("log_se", sapply(c(FALSE, TRUE), function(h) proposition3(logs, s, d, h))),
  show("mirrored", lee(data$re78, s, 1 - d, one)),
  show("mirrored_se", derivative_se(function(w) lee(data$re78, s, 1 - d, w), one)),
  show("weighted", lee(data$re78, s, d, w)),
  show("weighted_se", derivative_se(function(w) lee(data$re78, s, d, w), w)),
  show("ties", lee(thousand, s, d, w)),
  show("ties_se", derivative_se(function(w) lee(thousand, s, d, w), w)),
  show("tight", tight(data$re78, s, d, w, data$nodegree)),
  show("tight_se", derivative_se(function(w) tight(data$re78, s, d, w, data$nodegree), w)),
  show("imbens_manski", imbens_manski(lee(data$re78, s, d, one)[1], lee(data$re78, s, d, one)[2],
    sapply(c(FALSE, TRUE), function(h) proposition3(data$re78, s, d, h))))
)
# At 445 people the lower bound bends with the trimmed share, which the tail makes steep: the
# bootstrap's spread is larger than a linear one. With 16 times as many drawn from the same people the
# bend is a quarter as important, and the spread is shown times 4.
set.seed(1)
draws <- 4000
spread <- function(times) sqrt(times) * apply(replicate(draws, {
  i <- sample(n, times * n, replace = TRUE)
  ones <- rep(1, times * n)
  c(lee(data$re78[i], s[i], d[i], ones), lee(logs[i], s[i], d[i], ones),
    tight(data$re78[i], s[i], d[i], w[i], data$nodegree[i]))
}), 1, sd)
for (times in c(1, 16)) {
  se <- spread(times)
  name <- sprintf("bootstrap_%d_%s_se", times, c("level", "log", "tight"))
  found <- c(found, show(name[1], se[1:2]), show(name[2], se[3:4]), show(name[3], se[5:6]))
}
found <- c(found, show("bootstrap_draws", draws))
cat("{\n", paste(found, collapse = ",\n"), "\n}\n", sep = "")
