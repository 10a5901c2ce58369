"""NeoMutt as an engineer's client: reads his mailbox by IMAP, answers a mail as he would, hands the answer to his server by SMTP.

It runs in a terminal of the test's with keys typed ahead; headers, quote and attribution are all its own.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.needed import program

RC = """\
set folder = "imap://127.0.0.1:{imap}/"
set spool_file = "imap://127.0.0.1:{imap}/INBOX"
set imap_user = "{address}"
set imap_pass = "{password}"
set ssl_force_tls = no
set ssl_starttls = no
set smtp_url = "smtp://127.0.0.1:{smtp}/"
set real_name = "{name}"
set from = "{address}"
set use_from = yes
set envelope_from = yes
set hostname = "{domain}"
set editor = "{folder}/editor"
set tmp_dir = "{folder}"
set record = ""
set copy = no
set fast_reply = yes
set include = yes
set reply_to = yes
set abort_unmodified = no
set recall = no
set confirm_append = no
set quit = yes
set delete = no
set move = no
set sleep_time = 0
set wait_key = no
set header_cache = ""
set new_mail_command = ""
"""
EDITOR = """\
#!/bin/sh
{edit} > '{folder}/edited' && cat '{folder}/edited' > "$1"
"""
TOP, BOTTOM = "cat '{folder}/words' \"$1\"", "cat \"$1\" '{folder}/words'"
INLINE = "sed \"/{at}/r {folder}/words\" \"$1\""


@dataclass(frozen=True)
class Neomutt:
    """One person's client; `folder` is for its files."""

    folder: Path
    name: str
    address: str
    password: str
    imap: int
    smtp: int

    def reply(self, subject: str, words: str, *, key: str = "<reply>", edit: str = TOP, at: str = "") -> None:
        """Answer the newest mail whose subject contains `subject`, and send; fails when it does not.

        edit   TOP: the words above its quote; BOTTOM: below; INLINE: below the quoted line that has `at` in it
        """
        (self.folder / "words").write_text(f"\n{words}\n\n" if edit != TOP else f"{words}\n\n")
        editor = self.folder / "editor"
        editor.write_text(EDITOR.format(folder=self.folder, edit=edit.format(folder=self.folder, at=at)))
        editor.chmod(0o755)
        rc = self.folder / "neomuttrc"
        rc.write_text(RC.format(folder=self.folder, name=self.name, address=self.address, password=self.password, imap=self.imap,
                                smtp=self.smtp, domain=self.address.partition("@")[2]))
        keys = f"<limit>~s '{subject}'<enter><last-entry>{key}<send-message><quit>"
        self._run([program("neomutt", "neomutt"), "-n", "-F", str(rc), "-e", f'push "{keys}"'])

    def decoded(self, mbox: Path, number: int) -> str:
        """The mail `number` (from 1) of an mbox as this client hands it on, decoded."""
        rc, shown = self.folder / "mboxrc", self.folder / f"shown{number}"
        rc.write_text("set quit=yes\nset delete=no\nset move=no\nset sleep_time=0\nset wait_key=no\nset pipe_decode=yes\n")
        keys = f"<jump>{number}<enter><pipe-message>cat > '{shown}'<enter><quit>"
        self._run([program("neomutt", "neomutt"), "-n", "-F", str(rc), "-f", str(mbox), "-R", "-e", f'push "{keys}"'])
        return shown.read_text()

    def _run(self, command: list[str], seconds: float = 60) -> None:
        ours, theirs = pty.openpty()
        environ = {**os.environ, "TERM": "xterm", "HOME": str(self.folder), "LANG": "C.UTF-8", "LINES": "40", "COLUMNS": "120"}
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=self.folder,
                                   start_new_session=True)
        os.close(theirs)
        shown, until = b"", time.monotonic() + seconds
        try:
            while process.poll() is None and time.monotonic() < until:
                if select.select([ours], [], [], 0.2)[0]:
                    try:
                        shown += os.read(ours, 65536)
                    except OSError:  # the terminal's other side is closed
                        break
            code = process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"neomutt did not end; its screen:\n{shown[-4000:].decode(errors='replace')}") from None
        finally:
            os.close(ours)
        assert code == 0, f"neomutt ended with {code}:\n{shown[-4000:].decode(errors='replace')}"
