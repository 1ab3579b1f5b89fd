"""Write the NSW experiment (Dehejia & Wahba's sample, shipped with causaldata) for lee.R."""

import sys


def main(path: str) -> None:
    import causaldata

    frame = causaldata.nsw_mixtape.load_pandas().data.select_dtypes("number")
    frame.astype("float64").to_csv(path, index=False)


if __name__ == "__main__":
    main(sys.argv[1])
