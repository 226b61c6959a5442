#!/usr/bin/env python3
"""Holds tools_twin.py against Hearth's real tools: check_twins.py HEARTH [N] makes N conversations and does every call of theirs again,
in a real workspace, with `hearth tool run`. Memory and the clock are left out: they have no workspace."""
import datetime
import os
import random
import subprocess
import sys
import tempfile
import json

import desk_tasks
import tools_twin


class Recorder(desk_tasks.Tasks):
    """Tasks that keep each call with the files that were there before it."""

    def calls(self, *calls, quiet=False):
        before = dict(self.desk.files)
        results = super().calls(*calls, quiet=quiet)
        for (name, args), text in zip(calls, results):
            self.seen.append((name, args, before, text))
        return results


def main():
    hearth, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 40
    r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    tasks, done, bad = Recorder(r), 0, 0
    while done < n:
        tasks.seen = []
        tasks.doc()
        for name, args, files, text in tasks.seen:
            if name in ("remember", "recall", "now") or done >= n:
                continue
            with tempfile.TemporaryDirectory() as folder:
                for path, content in files.items():
                    os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
                    with open(f"{folder}/{path}", "w") as out:
                        out.write(content)
                p = subprocess.run([hearth, "tool", "run", "--json", "--workspace", folder, name, json.dumps(args)], capture_output=True, text=True)
                answer = json.JSONDecoder().raw_decode(p.stdout)[0]
                real = answer["result"]
            done += 1
            if real != text:
                bad += 1
                print(name, args, "\n  twin:", repr(text), "\n  real:", repr(real))
    print(f"{done} calls, {bad} differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
