"""What is kept of a log: all of it, or its end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlbutler.experiments import log


def test_a_log_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with log.LogFile(path) as file:
        file.line("one é")
        file.line("two \udc80")
    assert log.read_log(path) == "one é\ntwo \\udc80\n".encode()
    assert log.read_log(tmp_path / "none") == b""


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), min_size=1),
    most=st.integers(1, 60),
)
def test_of_a_long_log_whole_lines_of_its_end_are_kept(lines: list[bytes], most: int) -> None:
    content = b"".join(line + b"\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        path.write_bytes(content)
        found = log.read_log(path, most)
    if len(content) <= most:
        assert found == content
        return
    mark, _, rest = found.partition(b"\n")
    assert content.endswith(rest)
    assert len(rest) <= most
    assert mark.decode() == f"[the first {len(content) - len(rest):,} bytes of this log were not kept]"
    assert rest == b"" or content[: -len(rest)].endswith(b"\n")
