# Rscript match.R firms.csv pairs.csv kind exact x0+x1+...: matches, writes pairs of ids, prints seconds.
suppressMessages(library(MatchIt))
a <- commandArgs(trailingOnly = TRUE)
d <- read.csv(a[1])
covariates <- as.formula(paste("treat ~", a[5]))
options <- list(covariates, data = d, method = "nearest")
if (a[3] == "ps") options$caliper <- 0.2
if (a[3] == "mahalanobis") options$distance <- "mahalanobis"
if (a[3] == "within") {
  options$caliper <- 0.2
  options$mahvars <- as.formula(paste("~", a[5]))
}
if (a[4] == "1") options$exact <- ~industry
began <- proc.time()[["elapsed"]]
m <- do.call(matchit, options)
seconds <- proc.time()[["elapsed"]] - began
mm <- m$match.matrix
kept <- !is.na(mm[, 1])
pairs <- data.frame(supported = d$id[as.integer(rownames(mm))[kept]],
                    comparison = d$id[as.integer(mm[kept, 1])])
write.csv(pairs, a[2], row.names = FALSE)
cat(seconds, "\n")
