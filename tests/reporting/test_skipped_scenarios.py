"""The page says which scenarios are left out."""

import json

from emotion_games import files, layout
from emotion_games.reporting import page


def test_skipped_scenarios_stand_on_the_page_in_a_foldable_list(tmp_path):
    (tmp_path / layout.REPORT).write_text(json.dumps({"experiments": {}}))
    page.write_page(tmp_path)
    assert "are left out" not in (tmp_path / layout.PAGE).read_text()
    lines = ["57 of 107 entries cannot be used:", "  57 entries, first a.json[1]: <b>x</b>"]
    advice = ["To use them:", "experiment:", "  choice_labels:"]
    record = {"games": {"Stag_Hunt": lines}, "advice": advice}
    files.write_json(layout.skipped_path(tmp_path), record)
    page.write_page(tmp_path)
    text = (tmp_path / layout.PAGE).read_text()
    assert (
        "<details><summary>Scenarios of Stag Hunt that are left out: 57 of 107 entries cannot be "
        "used</summary><pre>57 of 107 entries cannot be used:\n"
        "  57 entries, first a.json[1]: &lt;b&gt;x&lt;/b&gt;</pre></details>"
    ) in text
    assert "<summary>To use them:</summary><pre>experiment:\n  choice_labels:</pre>" in text
