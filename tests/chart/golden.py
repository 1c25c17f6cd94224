"""Writes the golden files of test_render.py anew: what changed is then seen in the diff."""

from support_chart import GOLDEN, MATRIX, text

GOLDEN.mkdir(exist_ok=True)
for case in ("trial", "production"):
    (GOLDEN / f"{case}.yaml").write_text(text(*map(str, MATRIX[case])))
