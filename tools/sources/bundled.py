"""Tables inside the scikit-learn package: `sklearn:NAME`."""

from __future__ import annotations

from tools.sources.contract import Found, Room
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
"""linnerud has three targets: name one."""


class Bundled:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options()
        name = spelling.rest
        if name not in BUNDLED:
            raise InputRefused(f"source 'sklearn:{name}' is not bundled with scikit-learn; expected one of: {', '.join(BUNDLED)}.")
        import sklearn.datasets

        table = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        table.frame.to_parquet(room.folder / f"{name}.parquet", index=False)
        return Found(licence="BSD-3-Clause (scikit-learn)")
