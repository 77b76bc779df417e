"""A forge on the network: one comment for each title, whatever happens in between, over any adapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from time import sleep

from mlbutler.errors import ForgeError, UsageError
from mlbutler.escape import web_address
from mlbutler.first_few import first_few
from mlbutler.forge.http import OutcomeUnknown, RequestRefused
from mlbutler.forge.interface import (
    Behavior,
    Comment,
    CommitStatus,
    DetailedAdapter,
    ForgeAdapter,
    PictureFile,
    Posted,
    PullRequest,
    StatusDetails,
    TokenOwner,
)
from mlbutler.record import Change
from mlbutler.report.marker import parse_marker

_ROUNDS = 8
_CREATIONS = 2
_SHORTENED = "\n\nThere is [a newer one]("
_GONE = (404, 410)
_CONFLICT = 409
_NOT_SAID, _NO_MEMBER = 403, 404
_MOST_NAMED = 3
_SHOWN = re.compile(r"\]\((?P<address>[^()\s]*?(?P<name>plot-[0-9a-f]{20}\.[a-z]+)[^()\s]*)\)")


class Hosted:
    """Makes a `Forge` of an adapter.

    Args:
        pause: seconds before what was created is looked for again after the connection broke.
        behavior: one comment, or one for each commit, where ``hide-and-new`` shortens those of earlier commits.
    """

    def __init__(self, adapter: ForgeAdapter, pause: float = 1.0, behavior: Behavior = "update") -> None:
        self.name = adapter.name
        self.capabilities = adapter.capabilities
        self.adapter = adapter
        self._pause = pause
        self._behavior = behavior
        self._me: TokenOwner | None = None

    def me(self) -> TokenOwner:
        """Return the token's account; an unknown one where the token may not ask.

        Raises:
            ForgeError: the forge cannot be reached, or the token is none.
        """
        if self._me is None:
            try:
                self._me = self.adapter.me()
            except RequestRefused as error:
                if error.status not in (403, 404):
                    raise
                self._me = TokenOwner()
        return self._me

    def _learn(self, created: Comment) -> None:
        """Remember which account wrote our comments: the token may not be allowed to ask for its own account."""
        if created.author:
            self._me = TokenOwner(created.author)

    # ------------------------------------------------------------------------------------ pull request

    def pull_request(self, change: Change) -> PullRequest | None:
        """See `Forge.pull_request`. The commit counts more than the branch, and the target branch decides."""
        found = {pull.number: pull for pull in self.adapter.pull_requests(change)}.values()
        # One that only holds the commit among others, as a pull request on top of this branch does, is another's.
        pulls = [p for p in found if change.head == p.head or change.head_branch == p.head_branch]
        for field in ("head", "head_branch", "target_branch"):
            pulls = [p for p in pulls if getattr(p, field) == getattr(change, field)] or pulls
        if len(pulls) > 1:
            listed = "; ".join(f"{p.number} ({p.head_branch} into {p.target_branch})" for p in pulls)
            raise UsageError(
                f"Several open pull requests on {self.name} hold this commit: {listed}.",
                "Close all but one, or run where the CI server names the pull request.",
            )
        return pulls[0] if pulls else None

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """See `Forge.open_pull_request`. What may have been created is looked for, and not created again."""
        if there := self._open_already(change):
            return there[0]
        try:
            return self.adapter.open_pull_request(change, title, body)
        except OutcomeUnknown:
            sleep(self._pause)
            if not (there := self._open_already(change)):
                raise
            return there[0]

    def close_pull_requests(self, change: Change) -> tuple[str, ...]:
        """See `Forge.close_pull_requests`. A forge may have closed it already, since its branch is gone."""
        closed = []
        for pull in self._open_already(change):
            try:
                self.adapter.close_pull_request(change, pull)
            except (RequestRefused, OutcomeUnknown):
                if pull.number in [other.number for other in self._open_already(change)]:
                    raise
            closed.append(pull.number)
        return tuple(closed)

    def _open_already(self, change: Change) -> list[PullRequest]:
        ours = change.head_branch, change.target_branch
        return [pull for pull in self.adapter.pull_requests(change) if (pull.head_branch, pull.target_branch) == ours]

    # ------------------------------------------------------------------------------------ comment

    def comment(
        self, change: Change, title: str, body: str, is_older: Callable[[str], bool], *, create: bool = True
    ) -> Posted:
        """See `Forge.comment`.

        After a write, or a wait before it, the comments are read again. Of two builds that both found none and both
        wrote, each keeps the comment that came first, puts the newer commit's text there, and removes the other: in
        either order the same comment stays.
        """
        if change.number is None and not self.capabilities.editing:
            return self._add_comment(change, title, body) if create else Posted("", absent=True)
        not_ours: set[str] = set()
        wrote, before, created, unsure = False, "", 0, None
        for _ in range(_ROUNDS):
            every, others = self._find_comments(change, title, not_ours)
            newer = next((c for c in every if self._is_newer(c, title, change, is_older)), None)
            if newer and self._behavior != "update":
                return Posted("", newer=parse_marker(newer.body, title) or "")
            comments = self._comments_of(every, title, change)
            first = comments[0] if comments else None
            if first is None and not create and not wrote:
                return Posted("", absent=True)
            text = newer.body if newer else _naming(body, others)
            changed = first and first.body != before and parse_marker(first.body, title) == change.head
            if first and ((wrote and changed and not newer) or _same(first.body, text)):
                self._remove(change, comments[1:])
                self._shorten(change, title, first, [c for c in every if c not in comments])
                return Posted(first.url, newer=(parse_marker(newer.body, title) or "") if newer else "")
            try:
                if first:
                    self.adapter.update(change, first, text)
                    self._remove(change, comments[1:])
                else:
                    comment = self.adapter.create(change, text)
                    created += 1
                    self._learn(comment)
                    if created == _CREATIONS:  # it is there, whatever the list says
                        return Posted(comment.url)
                wrote = True
            except OutcomeUnknown as error:
                wrote, before, unsure = True, first.body if first else "", error  # perhaps: the next look tells
                sleep(self._pause)
            except RequestRefused as error:
                if not first or error.status not in (403, *_GONE, _CONFLICT):
                    raise
                if error.status != _CONFLICT:  # somebody else's, or removed meanwhile
                    not_ours.add(first.id)
        raise unsure or ForgeError(
            f"The comment on {self.name} changes faster than it can be written.", "Run `mlbutler publish` again."
        )

    def _comments_of(self, comments: list[Comment], title: str, change: Change) -> list[Comment]:
        """Return those that this commit's report goes to: all are one, or each commit has its own."""
        if self._behavior == "update":
            return comments
        return [comment for comment in comments if parse_marker(comment.body, title) == change.head]

    def _shorten(self, change: Change, title: str, now: Comment, earlier: list[Comment]) -> None:
        """Leave a line of the comments of earlier commits, where that is asked for."""
        if self._behavior != "hide-and-new":
            return
        for comment in earlier:
            line, address = _verdict_line(comment.body), _address(now)
            newer = f"[a newer one]({address})" if address else "a newer one below"
            text = f"{line}\n\nThere is {newer}.\n\n{_last_line(comment.body)}\n"
            if _same(comment.body, text) or _SHORTENED in comment.body:
                continue
            try:
                self.adapter.update(change, comment, text)
            except (RequestRefused, OutcomeUnknown):  # the report is posted; the next run tries again
                continue

    def _add_comment(self, change: Change, title: str, body: str) -> Posted:
        """Add a comment where none can be changed, unless it is there already."""
        unsure = None
        for _ in range(_ROUNDS):
            there = next((c for c in self._ours(change, title, set()) if _same(c.body, body)), None)
            if there is not None:
                return Posted(there.url)
            try:
                return Posted(self.adapter.create(change, body).url)
            except OutcomeUnknown as error:
                unsure = error
                sleep(self._pause)
        assert unsure is not None
        raise unsure

    def _ours(self, change: Change, title: str, not_ours: set[str]) -> list[Comment]:
        return self._find_comments(change, title, not_ours)[0]

    def _find_comments(self, change: Change, title: str, not_ours: set[str]) -> tuple[list[Comment], list[Comment]]:
        """Return our comments of this title, oldest first, and those that look like it and are of other accounts.

        A marker alone proves nothing: anybody can copy it. It may be that of an account that we had before.
        """
        marked = [c for c in self.adapter.comments(change) if parse_marker(c.body, title) is not None]
        ours = [c for c in marked if c.id not in not_ours and self._is_mine(c)] if marked else []
        return ours, [c for c in marked if c not in ours and parse_marker(_last_line(c.body), title) is not None]

    def _is_mine(self, comment: Comment) -> bool:
        me = self.me()
        if me.id and comment.author:
            return comment.author == me.id
        return not (me.program and comment.human)

    @staticmethod
    def _is_newer(comment: Comment, title: str, change: Change, is_older: Callable[[str], bool]) -> bool:
        there = parse_marker(comment.body, title)
        return there is not None and there != change.head and is_older(there)

    def _remove(self, change: Change, comments: list[Comment]) -> None:
        for comment in comments:
            try:
                self.adapter.delete(change, comment)
            except RequestRefused as error:
                if error.status not in (403, *_GONE, _CONFLICT):
                    raise

    # ------------------------------------------------------------------------------------ what others say

    def comments(self, change: Change) -> Iterator[Comment]:
        """Return all comments on a pull request, oldest first.

        Raises:
            ForgeError: they could not be read.
        """
        return self.adapter.comments(change)

    def may_write(self, comment: Comment) -> bool | None:
        """Return whether a comment's author may push to the repository now; None where the forge does not say.

        Raises:
            ForgeError: the forge could not be reached.
        """
        if not comment.author:
            return None
        try:
            return self.adapter.may_write(comment)
        except RequestRefused as error:
            if error.status == _NO_MEMBER:
                return False
            if error.status != _NOT_SAID:
                raise
            return None

    def say(self, change: Change, text: str) -> Comment:
        """Add a comment to a pull request.

        Raises:
            ForgeError: it could not be written, or may have been.
        """
        return self.adapter.create(change, text)

    # ------------------------------------------------------------------------------------ pictures

    def attach(
        self, change: Change, title: str, pictures: Sequence[PictureFile], is_older: Callable[[str], bool]
    ) -> dict[str, str] | None:
        """See `Forge.attach`. A picture that an earlier build uploaded is found by its name and used again."""
        first = next(iter(self._comments_of(self._ours(change, title, set()), title, change)), None)
        if first is None:
            return None
        if self._is_newer(first, title, change, is_older):
            return {}
        shown = {match["name"]: match["address"] for match in _SHOWN.finditer(first.body)}
        return {p.name: shown.get(p.name) or self._upload_picture(change, first, p) for p in pictures}

    def _upload_picture(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        try:
            return self.adapter.attach(change, comment, picture)
        except RequestRefused as error:
            if error.status in (401, 429) or error.status >= 500 or not error.status:
                raise
            return ""  # too large, of a type that is not allowed, or attachments are off

    # ------------------------------------------------------------------------------------ status

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`."""
        return self.adapter.status(change, title, state, sentence, target_url)

    def detail(
        self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str, details: StatusDetails
    ) -> None:
        """Show more beside a status, where the forge has a place for it.

        Raises:
            ForgeError: it could not be shown.
        """
        if isinstance(self.adapter, DetailedAdapter):
            self.adapter.detail(change, title, state, sentence, target_url, details)


def _same(there: str, ours: str) -> bool:
    """Return whether it is the same text. Forges trim white space and change line ends."""
    return there.split() == ours.split()


def _verdict_line(body: str) -> str:
    """Return the line of a report that has its verdict, without any text that could be structure."""
    return next((line for line in body.splitlines() if line.startswith("**")), "**An earlier report**")


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _naming(body: str, others: Sequence[Comment]) -> str:
    """Return `body` with links to comments that stay as they are, before its last line, which is the marker."""
    if not others:
        return body
    links = [f"[comment]({address})" if (address := _address(c)) else "a comment" for c in others]
    last = _last_line(body)
    before = body.rstrip().removesuffix(last)
    said = f"This account does not update what others wrote under the same name: {first_few(links, _MOST_NAMED)}."
    return f"{before}{said}\n\n{last}\n"


def _address(comment: Comment) -> str:
    return (web_address(comment.url) or "").replace("(", "%28").replace(")", "%29").replace(" ", "%20")
