"""Build the frozen bench, or check that nobody has moved it.

python synthetic/build.py                    write cards, panels, truths and MANIFEST.json
python synthetic/build.py --check            rebuild and compare; exits 1 on a difference
python synthetic/build.py --check voucher    the same for some scenarios
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from exportimpact.synthetic import scenario, scenarios
from exportimpact.synthetic.frozen import compare, digest, frozen_files, packed, unpacked

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "MANIFEST.json"


def build(names: tuple[str, ...]) -> int:
    """Write the files of the scenarios and the manifest."""
    manifest = json.loads(MANIFEST.read_text()) if names != scenarios() else {}
    for name in names:
        for path, content in frozen_files(scenario(name)).items():
            target = FOLDER / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(packed(path, content))
            manifest[path] = digest(content)
    MANIFEST.write_text(json.dumps(dict(sorted(manifest.items())), indent=1) + "\n")
    return 0


def check(names: tuple[str, ...]) -> int:
    """Compare what is stored, and what would be built now, with the manifest."""
    manifest = json.loads(MANIFEST.read_text())
    built = {
        path: content for name in names for path, content in frozen_files(scenario(name)).items()
    }
    stored = {
        path: unpacked(path, (FOLDER / path).read_bytes())
        for path in (built if names != scenarios() else manifest)
        if (FOLDER / path).exists()
    }
    lost = [path for path in built.keys() | manifest.keys() if not (FOLDER / path).exists()]
    for label, paths in (
        ("built otherwise now", compare(manifest, built)),
        ("changed on disk", compare(manifest, stored)),
        ("missing", lost),
    ):
        for path in sorted(paths):
            print(f"{label}: {path}")
    differences = bool(lost or compare(manifest, built) or compare(manifest, stored))
    print("different" if differences else f"{len(built)} files are as the manifest says")
    return int(differences)


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="scenarios; all when not given")
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    chosen = parser.parse_args(arguments)
    names = tuple(chosen.names) or scenarios()
    return check(names) if chosen.check else build(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
