"""Every command with its options, help and an example; what they do is in the files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="dicom-node",
    help="A DICOM network node that processes on receipt: keep, complete, anonymize, convert, forward.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip

Rules = Annotated[Path, typer.Option("--config", "-c", help="The configuration.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="Facts as JSON.")]
DEFAULT = Path("rules.yaml")


@app.command(epilog="Example: dicom-node serve --config rules.yaml")
def serve(config: Rules = DEFAULT) -> None:
    """Receive, process and forward until SIGTERM. Prints one line when it is ready."""
    from node.cli.serve import serve as run

    raise typer.Exit(run(config))


@app.command(epilog="Example: dicom-node check --config rules.yaml")
def check(config: Rules = DEFAULT, json: Json = False) -> None:
    """Read rules.yaml, say everything that is wrong in it, and run its tests."""
    from node.cli.rules import check as run

    raise typer.Exit(run(config, json))


@app.command(epilog="Example: dicom-node demo --data ./demo")
def demo(
    data: Annotated[Path | None, typer.Option(help="Keep everything in this folder.", metavar="DIR")] = None,
    json: Json = False,
) -> None:
    """Show the whole way on real images over real sockets, in a temporary folder."""
    from node.cli.demo import demo as run

    raise typer.Exit(run(data, json))


@app.command(epilog="Example: dicom-node schema > rules.schema.json")
def schema() -> None:
    """Print the JSON Schema of rules.yaml, so that editors complete and check it."""
    from node.cli.rules import schema as run

    raise typer.Exit(run())


@app.command(epilog="Example: dicom-node codecs --json")
def codecs(json: Json = False) -> None:
    """Show which transfer syntaxes this installation decodes and encodes, and by which library."""
    from node.cli.codecs import codecs as run

    raise typer.Exit(run(json))


@app.command(epilog="Example: dicom-node show image.dcm PatientName")
def show(
    file: Annotated[Path, typer.Argument(help="A DICOM file, with or without file meta.")],
    tag: Annotated[str | None, typer.Argument(help="Keyword, (gggg,eeee) or dotted path.")] = None,
    json: Json = False,
) -> None:
    """Print the header of a file, or one value of it."""
    from node.cli.tools import show as run

    raise typer.Exit(run(file, tag, json))


@app.command(epilog="Example: dicom-node contours rtstruct.dcm")
def contours(
    file: Annotated[Path, typer.Argument(help="An RT structure set or a segmentation, with or without file meta.")],
    json: Json = False,
) -> None:
    """List the regions of a structure set or a segmentation: contours, planes, and ml by their area."""
    from node.cli.contours import contours as run

    raise typer.Exit(run(file, json))


@app.command(epilog="Example: dicom-node echo archive")
def echo(
    destination: Annotated[str, typer.Argument(help="A destination or peer of rules.yaml, or AE@host:port.")],
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Ask a destination whether it takes anything: C-ECHO, or a write into its folder."""
    from node.cli.tools import echo as run

    raise typer.Exit(run(destination, config, json))


@app.command(epilog="Example: dicom-node send archive ./study")
def send(
    destination: Annotated[str, typer.Argument(help="A destination of rules.yaml, or AE@host:port.")],
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Send files as they are to a destination, without the node. Exit 1 when one stayed, also for being damaged."""
    from node.cli.tools import send as run

    raise typer.Exit(run(destination, paths, config, json))


@app.command(epilog="Example: dicom-node process ./study --route research-ct --out ./result")
def process(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    route: Annotated[str, typer.Option(help="A route of rules.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the result.", metavar="DIR")],
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Take files through the steps of one route, without the network.

    Unit by unit, as the route's `unit:` says, each into a folder of its own. Exit 1 when something was held.
    """
    from node.cli.process import process as run

    raise typer.Exit(run(paths, route, out, config, json))


@app.command(epilog="Example: dicom-node status")
def status(config: Rules = DEFAULT, json: Json = False) -> None:
    """What is open, running, waiting and held. Exit 1 when something is held."""
    from node.cli.look import status as run

    raise typer.Exit(run(config, json))


@app.command(epilog="Example: dicom-node explain 1.2.840.113619.2.55.3")
def explain(
    uid: Annotated[str, typer.Argument(help="Study, Series or SOP Instance UID, or the id of a receipt.")],
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Who sent it, what completed it, which routes took it and why, each step and each delivery."""
    from node.cli.look import explain as run

    raise typer.Exit(run(uid, config, json))


@app.command(epilog="Example: dicom-node ledger --verify")
def ledger(
    config: Rules = DEFAULT,
    json: Json = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Recount from the files: read and hash all that should be there.")
    ] = False,
) -> None:
    """Count every acknowledged instance by its state. Exit 1 when the sum is not right."""
    from node.cli.look import ledger as run
    from node.cli.verify import verify as recount

    raise typer.Exit((recount if verify else run)(config, json))


@app.command(epilog="Example: dicom-node verify ./share/certificate-0123456789abcdef.json")
def verify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Certificates, or folders with some; none: only the ledger's chains.")
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Every certificate in force that a folder has must be among them.")
    ] = False,
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Are certificates of de-identification as they were issued, and is their chain whole?

    Says what breaks one, and where. Exit 1 when something does.
    """
    from node.cli.certificates import verify as run

    raise typer.Exit(run(paths or [], complete, config, json))


Subject = Annotated[str, typer.Argument(help="A UID, a receipt, a job, a route, a destination, or `all`.")]


@app.command(epilog="Example: dicom-node retry archive")
def retry(subject: Subject, config: Rules = DEFAULT, json: Json = False) -> None:
    """Try again what failed: held jobs and deliveries, and deliveries that wait for their time."""
    from node.cli.act import act

    raise typer.Exit(act("retry", subject, config, json))


@app.command(epilog="Example: dicom-node drop 1.2.840.113619.2.55.3")
def drop(subject: Subject, config: Rules = DEFAULT, json: Json = False) -> None:
    """Give up what is held or waits; the ledger keeps saying so."""
    from node.cli.act import act

    raise typer.Exit(act("drop", subject, config, json))


@app.command(epilog="Example: dicom-node release 1.2.840.113619.2.55.3")
def release(
    subject: Subject,
    reason: Annotated[
        str,
        typer.Option(help="Why what the second reader found may go on; it stands in the certificate. No patient data."),
    ] = "",
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Decide that what is held may go on as it is; match what no route took against the routes of today."""
    from node.cli.act import act

    raise typer.Exit(act("release", subject, config, json, reason))


@app.command(epilog="Example: dicom-node backup ./backup-monday")
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")], config: Rules = DEFAULT, json: Json = False
) -> None:
    """Copy database, spool, outbox and secret into a new folder, beside a running node."""
    from node.cli.copies import backup as run

    raise typer.Exit(run(folder, config, json))


@app.command(epilog="Example: dicom-node restore ./backup-monday")
def restore(
    folder: Annotated[Path, typer.Argument(help="What `backup` made.")], config: Rules = DEFAULT, json: Json = False
) -> None:
    """Put a backup back, with the node stopped. What is newer than it is held and not sent again."""
    from node.cli.copies import restore as run

    raise typer.Exit(run(folder, config, json))


@app.command(epilog="Example: dicom-node reidentify ./study --certificate owner.pem --key owner.key --out ./identified")
def reidentify(
    paths: Annotated[list[Path], typer.Argument(help="De-identified DICOM files or folders.")],
    certificate: Annotated[Path, typer.Option(help="The certificate that was named as `reversible`.")],
    key: Annotated[Path, typer.Option(help="Its private key.")],
    out: Annotated[Path, typer.Option(help="A new folder for the identified instances.", metavar="DIR")],
    password_file: Annotated[Path | None, typer.Option(help="Password of the key.", metavar="FILE")] = None,
    json: Json = False,
) -> None:
    """Bring the original attributes back, where the private key is; needs no node. Exit 1 when some have none."""
    from node.cli.reidentify import reidentify as run

    raise typer.Exit(run(paths, certificate, key, out, password_file, json))


crosswalk = typer.Typer(
    help="Who became whom. Each use is recorded, with who and when.", no_args_is_help=True,
    epilog="Example: dicom-node crosswalk find SITE-0001", rich_markup_mode="rich",
)  # fmt: skip
app.add_typer(crosswalk, name="crosswalk")


@crosswalk.command(epilog="Example: dicom-node crosswalk find SITE-0001")
def find(
    value: Annotated[str, typer.Argument(help="A pseudonym, a patient ID, or the Study Instance UID of an unknown.")],
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Tell who a pseudonym is, or what pseudonyms a patient has. Exit 1 when it is in no entry."""
    from node.cli.crosswalk import find as run

    raise typer.Exit(run(value, config, json))


@crosswalk.command(epilog="Example: dicom-node crosswalk export ./crosswalk.csv")
def export(
    out: Annotated[Path, typer.Argument(help="A new file, made for its owner alone.", metavar="FILE")],
    config: Rules = DEFAULT,
) -> None:
    """Write every entry as CSV."""
    from node.cli.crosswalk import export as run

    raise typer.Exit(run(out, config))


@crosswalk.command("import", epilog="Example: dicom-node crosswalk import ./crosswalk.csv")
def read_in(
    source: Annotated[Path, typer.Argument(help="What `export` writes.", metavar="FILE")],
    config: Rules = DEFAULT,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give patients another pseudonym than they have in that scheme.")
    ] = False,
) -> None:
    """Take in entries of another node, or of before: all of them, or none and every line that is wrong."""
    from node.cli.crosswalk import read_in as run

    raise typer.Exit(run(source, config, replace))


@crosswalk.command(epilog="Example: dicom-node crosswalk rotate")
def rotate(config: Rules = DEFAULT) -> None:
    """Take another secret for patients to come, with the node stopped. Those who are mapped keep theirs."""
    from node.cli.crosswalk import rotate as run

    raise typer.Exit(run(config))


@crosswalk.command("begin-anew", epilog="Example: dicom-node crosswalk begin-anew")
def begin_anew(config: Rules = DEFAULT) -> None:
    """Go on without a crosswalk that is lost and in no backup, with the node stopped. Who was mapped before gets
    another pseudonym; numbers go on above those that were given."""
    from node.cli.crosswalk import begin_anew as run

    raise typer.Exit(run(config))


@crosswalk.command(epilog="Example: dicom-node crosswalk uses")
def uses(config: Rules = DEFAULT, json: Json = False) -> None:
    """Who used the crosswalk, when, and for what."""
    from node.cli.crosswalk import uses as run

    raise typer.Exit(run(config, json))


deid = typer.Typer(
    help="For the author of a rule: what de-identification does, and what no rule covers yet.", no_args_is_help=True,
    epilog="Example: dicom-node deid preview image.dcm --route research-ct", rich_markup_mode="rich",
)  # fmt: skip
app.add_typer(deid, name="deid")


@deid.command(epilog="Example: dicom-node deid preview image.dcm --route research-ct")
def preview(
    file: Annotated[Path, typer.Argument(help="A DICOM file, with or without file meta.")],
    route: Annotated[str, typer.Option(help="A route of rules.yaml that anonymizes.")],
    changed: Annotated[bool, typer.Option("--changed", help="Leave out what is kept.")] = False,
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Show each attribute before and after, and the rule behind it. Shows the patient's data. Exit 1 when held."""
    from node.cli.deid import preview as run

    raise typer.Exit(run(file, route, changed, config, json))


@deid.command(epilog="Example: dicom-node deid coverage ./studies --route research-us")
def coverage(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    route: Annotated[str | None, typer.Option(help="A route of rules.yaml; without it, the rules shipped.")] = None,
    config: Rules = DEFAULT,
    json: Json = False,
) -> None:
    """Which burned-in layouts, devices and private creators no rule covers yet. Exit 1 when a layout would be held."""
    from node.cli.coverage import coverage as run

    raise typer.Exit(run(paths, config, route, json))


def _version(value: bool) -> None:
    if value:
        from node import __version__

        print(f"dicom-node {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass
