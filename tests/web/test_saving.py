"""The names of downloads, as a real server sends them."""

from pathlib import Path
from urllib.parse import quote

from tests.serving import ended, serving

NAME = "naïve 実験 ‘α’"


def test_a_run_may_have_any_letters_in_its_name(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        run = site.run([{"id": "a", "command": "true"}], name=NAME)
        ended(site, run)
        for path, end in (
            ("outputs.zip", ".zip"),
            ("tasks/a/outputs.zip", "-a.zip"),
            ("report?download", ".html"),
            ("metrics?format=csv", "-metrics.csv"),
        ):
            answer = site.get(f"/runs/{run}/{path}")
            assert answer.status == 200, path
            said = answer.headers["content-disposition"]
            assert f"filename*=UTF-8''{quote(f'{NAME}-{run}{end}', safe='')}" in said
            assert f'filename="naive  -{run}{end}"' in " ".join(said.split("α"))
