"""Write the NSW experiment (Dehejia & Wahba's sample, shipped with causaldata) for lee.R."""

import sys

import causaldata

frame = causaldata.nsw_mixtape.load_pandas().data.select_dtypes("number")
frame.astype("float64").to_csv(sys.argv[1], index=False)
