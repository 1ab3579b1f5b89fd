"""The study file and what runs one: schema, run, manifest, verification, demos."""

from exportimpact.study.demo import demo
from exportimpact.study.run import StudyRun, run_study
from exportimpact.study.verify import Verification, verify
from exportimpact.study.versions import show_versions

__all__ = ["StudyRun", "Verification", "demo", "run_study", "show_versions", "verify"]
