"""The frozen bench: nobody can move a truth without the check failing."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from exportimpact.synthetic import scenarios

ROOT = Path(__file__).parents[2] / "synthetic"
CHECKED = ("random_rollout", "voucher", "heavy_tails")


@pytest.fixture
def bench(tmp_path):
    """build.py on a copy of the frozen bench."""
    copy = tmp_path / "synthetic"
    shutil.copytree(ROOT, copy)
    spec = importlib.util.spec_from_file_location("frozen_bench_build", copy / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_stored_is_what_is_built(bench, capsys):
    assert bench.main(["--check", *CHECKED]) == 0
    assert "as the manifest says" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["truth/voucher.json", "panels/voucher.csv.gz"])
def test_a_moved_number_is_found(bench, capsys, path):
    file = bench.FOLDER / path
    stored = file.read_bytes()
    content = gzip.decompress(stored) if path.endswith(".gz") else stored
    moved = content.replace(b"7", b"8", 1)
    file.write_bytes(gzip.compress(moved) if path.endswith(".gz") else moved)
    assert bench.main(["--check", "voucher"]) == 1
    assert f"changed on disk: {path}" in capsys.readouterr().out


def test_a_moved_manifest_and_a_lost_file_are_found(bench, capsys):
    manifest = json.loads(bench.MANIFEST.read_text())
    manifest["truth/voucher.json"] = "0" * 64
    bench.MANIFEST.write_text(json.dumps(manifest))
    (bench.FOLDER / "cards/voucher.md").unlink()
    assert bench.main(["--check", "voucher"]) == 1
    printed = capsys.readouterr().out
    assert "built otherwise now: truth/voucher.json" in printed
    assert "missing: cards/voucher.md" in printed


def test_every_scenario_is_frozen_and_the_bench_is_small():
    paths = set(json.loads((ROOT / "MANIFEST.json").read_text()))
    for name in scenarios():
        assert {f"cards/{name}.md", f"panels/{name}.csv.gz", f"truth/{name}.json"} <= paths
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for folder in ("cards", "panels", "truth")
        for path in (ROOT / folder).iterdir()
    }
    assert on_disk == paths
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 3e6
