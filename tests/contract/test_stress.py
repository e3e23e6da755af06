"""One run is used from everywhere at once: nothing raises, hangs or is lost."""

import subprocess
import sys
from pathlib import Path

import stress_program
from runstore import Store
from stress_program import FILES, POINTS, TAGS, WRITERS, Acknowledged

_LONG, _SHORT = 60, 1


def test_a_run_that_is_used_from_everywhere_keeps_what_was_acknowledged(
    tmp_path, is_full_campaign
):
    """Threads, spawned processes, a forked child, signals, finalizers; killed at random."""
    for seed in range(_LONG if is_full_campaign else _SHORT):
        folder, path = tmp_path / f"store{seed}", tmp_path / f"acknowledged{seed}"
        acknowledged = Acknowledged.make(path)
        program = [sys.executable, stress_program.__file__, folder, path, str(seed)]
        # Read to its end, which comes when all have ended that were not killed, children too.
        ended = subprocess.run(
            program, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, timeout=180, check=False
        )
        said = ended.stdout.decode(errors="replace")

        assert ended.returncode in {0, -9, 143, -15, -14}, f"seed {seed}: {said[-4000:]}"
        assert "Traceback" not in said, f"seed {seed}: {said[-4000:]}"
        assert "Timeout" not in said, f"seed {seed}: {said[-4000:]}"
        check_all_is_there(folder, acknowledged, f"seed {seed}")


def check_all_is_there(folder: Path, acknowledged: Acknowledged, which: str):
    with Store.open(folder) as store:
        run = store.get("stress#1")
        for writer in WRITERS:
            count = acknowledged[writer, POINTS]
            if count:
                values = [int(value) for value in run.metric(writer).values]
                kept = set(values)
                missing = set(range(max(kept))) - kept
                assert not missing, (which, writer, count, len(values), sorted(missing)[:9])
                assert len(kept) >= count, (which, writer, count, len(values))
                # One may have been written when its writer was killed before it counted it.
                assert len(values) - len(kept) <= 1, (which, writer, count, len(values))
            assert int(run.tags.get(writer, 0)) >= acknowledged[writer, TAGS], (
                which,
                writer,
                "tags",
            )
            files = {f"{writer}/{n}.txt" for n in range(acknowledged[writer, FILES])}
            assert files <= set(run.artifacts), (which, writer, "files")
