"""Make many hardlinks to objects: here, or as a program of its own, which needs nothing but the standard library.

Each job names an object, the name that it gets, and the status that its file has to have: inode, bytes, time of last
change, of a file that nobody may write into. What is another file by now is not linked. Without a status, the
caller compares the files itself.

The second process starts without the installed packages, which takes their time too, so that nothing of mlbutler can
be imported here: `to_text` and `is_fixed` are those of `mlbutler.state.fingerprint` once more; a test compares them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

FIELDS = 3
HEAD = b"mlbutler.linker\n"
"""What an answer begins with: other programs say other things."""
_KIND_AND_WRITERS = stat.S_IFMT(0o177777) | 0o222
_OFTEN = 256


def to_text(found: os.stat_result) -> str:
    """Return ``inode bytes mtime_ns``, which differs once somebody wrote into a file or replaced it."""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def is_fixed(found: os.stat_result) -> bool:
    """Tell whether it is a file that nobody may write into."""
    return found.st_mode & _KIND_AND_WRITERS == stat.S_IFREG


def link(source: str, target: str, fields: Sequence[str]) -> bytes:
    """Link objects of DVC's layout below `source` into the folder `target`, which holds all the folders of their names.

    Args:
        fields: of each job, one job after the other: MD5, name ('': as in `source`), ``inode bytes mtime_ns``, or ''.

    Returns:
        for each job a 1 when its name is a link to the very file that was meant, else a 0, and there is none.
    """
    done = bytearray()
    jobs = iter(fields)
    for md5, name, status in zip(jobs, jobs, jobs, strict=False):
        key = f"{md5[:2]}/{md5[2:]}"
        made = f"{target}/{name or key}"
        try:
            os.link(f"{source}/{key}", made)
        except OSError:  # the caller tries it in another way and reports what is wrong
            done.append(0)
            continue
        if not status:
            done.append(1)
            continue
        # Looked at afterwards: what was linked is what counts, whatever happens to the source meanwhile.
        done.append(_is_meant(made, status))
    return bytes(done)


def _is_meant(made: str, status: str) -> bool:
    """Tell whether the file `made` has this status; remove one that has not."""
    try:
        found = os.stat(made)  # noqa: PTH116 - for each of 50,000 objects
        if to_text(found) == status and is_fixed(found):
            return True
        os.unlink(made)  # noqa: PTH108
    except OSError:  # another took it away
        pass
    return False


def main() -> None:
    """Do the jobs on standard input, fields ended by NUL; answer `HEAD` and a byte for each on standard output."""
    parent = os.getppid()
    sys.stdout.buffer.write(HEAD)
    source, target, *fields = os.fsdecode(sys.stdin.buffer.read()).split("\0")
    step = FIELDS * _OFTEN
    for start in range(0, len(fields), step):
        if os.getppid() != parent:  # nobody waits for the answer
            return
        sys.stdout.buffer.write(link(source, target, fields[start : start + step]))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
