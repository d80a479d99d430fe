"""README.txt: what the auditor reads first. Plain ASCII, 78 columns, complete without a network."""

from auditkeep.clock import to_datetime
from auditkeep.reports.model import Heading, Integrity
from auditkeep.reports.pdf.text import BREAK, printable
from auditkeep.verify.statement import Statement

_TEXT = """\
ASSESSMENT REPORT
=================

Report       {report}
Assessment   {assessment}
Account      {account}
Generated    {generated} UTC
Items        {items}
Complete     {complete}

WHAT IS HERE
------------

{folder}/
    AssessmentReportSummary.pdf   the report: overview, controls, evidence
    volumes/                      listings too long for it, if there are any
    completeness.jsonl            what was due, what arrived, what did not and
                                  why, and the runs that collected it
    digest.txt                    SHA-256 of every other file, signed
    README.txt                    this file
    proofs/                       what shows that the evidence is as logged
        checkpoint.txt            the state of the log, signed by its key
        log-key.txt               the log's public key, as this archive says
        report-key.txt            the key that signed digest.txt, endorsed by
                                  the log's key
        batches.jsonl             where each batch of evidence lies in the log
        anchors.jsonl             checkpoints that others vouch for, if any do
        records.jsonl             for each evidence file: its batch, and the
                                  way from its bytes to that batch

Every other folder is one control: in it a folder for each source, in that a
folder for each day (UTC) with the evidence files. An evidence file holds the
bytes of the source exactly as they were kept. Its name is

    HH-MM-SS_SERVICE_Event_ACCOUNT_ID.json

where ID is the end of the evidence id that the PDF shows. Manual evidence is
named HH-MM-SS_manual_ACCOUNT_ID.json, with a copy of the uploaded file beside
it. An item that serves two controls is in both folders. The folder Runs holds
the records of the runs that collected the evidence: who asked whom for what,
and what came back. They are proven as the evidence is.

HOW TO CHECK IT
---------------

With Auditkeep, on a machine of your own, without network or server:

    auditkeep verify REPORT.zip --key LOG_KEY

LOG_KEY is one line and begins with
    {origin}+
Ask for it by another way than the one on which this archive came: by
telephone, from last year's report, or from a public page. The archive's own
copy is in proofs/log-key.txt; a forger would put his own there. Without a key
that you trust the answer is "cannot tell" (exit status 2). "valid" is 0, and
"not valid" is 1 and says what is wrong in a sentence for each fault. If you
hold an earlier checkpoint of this log, add --checkpoint FILE. If you trust
witnesses or a timestamp authority, --witness KEY and --tsa FILE tell by when
they had seen what the evidence is in.

By hand: the files first (in the folder that holds this file):

    sha256sum AssessmentReportSummary.pdf      and compare with digest.txt

then the signature of digest.txt: take out the member hashSignature, which
leaves what was signed, and check it with the public key of report-key.txt,
whose SHA-256 must be
    {report_key}

    tail -n +4 proofs/report-key.txt | head -n 1 | base64 -d > key.der
    sed 's/"hashSignature":"[0-9a-f]*",//' digest.txt > signed.json
    grep -o '"hashSignature":"[0-9a-f]*"' digest.txt | cut -d'"' -f4 \\
        | xxd -r -p > signature.bin
    openssl dgst -sha256 -verify key.der -keyform DER \\
        -signature signature.bin signed.json

The log is an RFC 6962 Merkle tree with C2SP checkpoints; docs/formats.md of
Auditkeep says, byte by byte, how a proof leads from a file to its root:

    entries   {log_size}
    root      {log_root}

WHAT IT PROVES, AND WHAT IT DOES NOT
------------------------------------

It proves that every evidence file is unchanged since it was logged, that it
was logged in the order in which the log has it, and that the report was
signed by a key which the log's key endorses.

It does not prove that what a source said was true when it was collected, nor
that all there was has been collected or selected. Whoever holds the log's key
and the database can forge what is newer than the newest checkpoint that
somebody else holds: keep this archive's checkpoint.txt.
"""


_COMPLETE = {
    "nothing-missing": "nothing that was due is missing",
    "missing": 'not all that was due has arrived: see the PDF, "Completeness"',
    "nobody-asks": "cannot be told: nobody asks, evidence is brought",
    "by-hand": "cannot be told: evidence is handed in by people",
}


def text(
    heading: Heading, integrity: Integrity, *, folder: str, items: int, stated: Statement
) -> bytes:
    """README.txt of one report."""
    return _TEXT.format(
        report=_line(heading.report_name),
        assessment=_line(heading.assessment),
        account=heading.account,
        generated=f"{to_datetime(heading.generated_at):%Y-%m-%d %H:%M:%S}",
        items=f"{items:,}",
        complete=_COMPLETE[stated.state],
        folder=folder,
        origin=integrity.origin,
        report_key=integrity.report_key,
        log_size=f"{integrity.log_size:,}",
        log_root=integrity.log_root,
    ).encode("ascii")


def _line(text: str) -> str:
    return printable(text, 300, ascii_only=True).replace(BREAK, "").replace("\n", " ")
