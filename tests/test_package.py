"""The wheel, installed into an empty environment, brings everything that the program serves."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import walk
from tests.serving import ROOT, ended, serving, until

pytestmark = pytest.mark.slow

NOT_SOURCE = ("build", "demo", "dist", "*.egg-info", "__pycache__", ".*", "tests", "bench")
ASKED = """
import json
from scripthut.config import parse
from scripthut.web import create_app
app = create_app(parse({"settings": {"data_dir": "data"}}))
for name in app.jinja_env.list_templates():
    app.jinja_env.get_template(name)
print(json.dumps([app.jinja_env.list_templates(), app.static_folder, app.template_folder]))
"""
WORK = [
    {"id": "a", "command": "echo '**done**' | tee $SCRIPTHUT_TASK_SUMMARY $SCRIPTHUT_RUN_SUMMARY"}
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing old in the checkout can get into it."""
    directory = tmp_path_factory.mktemp("build")
    source = directory / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(directory), str(source))
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interpreter of an environment in which only the wheel was installed."""
    directory = tmp_path_factory.mktemp("empty")
    words = ["-m", "venv", "--without-pip", str(directory / "venv")]
    subprocess.run([sys.executable, *words], check=True)
    python = str(directory / "venv/bin/python")
    pip(sys.executable, "--python", python, "install", "--no-compile", str(wheel))
    yield python
    shutil.rmtree(directory)


def pip(python: str, *words: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def below(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_holds_every_template_static_file_and_migration(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for name in ("templates", "static", "migrations"):
        wanted = {f"scripthut/{name}/{path}" for path in below(ROOT / name)}
        assert wanted - packed == set()
    modules = {f"scripthut/{path}" for path in below(ROOT / "scripthut")}
    assert modules - packed == set()


def test_the_installed_program_uses_its_own_files(python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-c", ASKED],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr
    templates, *folders = json.loads(done.stdout)
    assert set(templates) == below(ROOT / "templates")
    assert all(not Path(folder).is_relative_to(ROOT) for folder in folders)


@pytest.mark.own_database("it is installed without the driver of PostgreSQL")
def test_the_installed_program_migrates_runs_and_serves_every_page(
    python: str, tmp_path: Path
) -> None:
    program = [str(Path(python).with_name("scripthut"))]
    with serving(tmp_path, program=program) as site:
        run = site.run(WORK)
        assert ended(site, run)["status"] == "completed"
        until(lambda: "done" in site.get(f"/runs/{run}/summary").text)
        pages = walk(site)
    assert {path: r.status for path, r in pages.items() if r.status not in (200, 204)} == {}
    assert any(".css" in path for path in pages)
    assert any("htmx" in path for path in pages)
    assert any("/changes" in path for path in pages)
    assert any(path.startswith(f"/runs/{run}/tasks/") for path in pages)
