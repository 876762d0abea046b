"""ganeti-cluster: creates the cluster that ganeti-masterd serves, and maintains its files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import TypeAlias

from ganeti import bootstrap, constants, errors, hooks, pathutils
from ganeti.bootstrap import NodeSpec, Settings
from ganeti.daemon import privileges
from ganeti.layout import Owners
from ganeti.maintenance import backup, check, ensure_dirs, renewal, restore
from ganeti.utils import host
from ganeti.utils.text import describe_os_error

#: The type of ``add_subparsers``' result, which has no public name.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command and its arguments, or exit with a message."""
    parser = argparse.ArgumentParser(
        prog="ganeti-cluster",
        description="Create a cluster on this machine, back it up, restore it, repair its files.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_init(commands)
    _add_backup(commands)
    _add_restore(commands)
    _add_ensure_dirs(commands)
    _add_renew_certificate(commands)
    return parser.parse_args(argv)


def _add_init(commands: Subparsers) -> None:
    command = commands.add_parser(
        "init",
        help="create a cluster",
        description="Create what ganeti-masterd and ganeti-rapi need. Names are not resolved.",
    )
    command.add_argument("name", metavar="NAME", help="name of the cluster")
    command.add_argument(
        "--node",
        metavar="NAME[:MEMORY:DISK:CPUS]",
        action="append",
        default=[],
        help="a node, repeated; the first is this machine (default: its host "
        "name), the others are simulated; sizes in MiB or such as 64G",
    )
    command.add_argument(
        "--enabled-hypervisors",
        metavar="LIST",
        type=_words,
        default=["fake"],
        help="comma separated (default: fake)",
    )
    command.add_argument(
        "--enabled-disk-templates",
        metavar="LIST",
        type=_words,
        help="comma separated (default: file,diskless; with simulated nodes also plain,drbd)",
    )
    command.add_argument(
        "--master-netdev",
        metavar="DEVICE",
        default="lo",
        help="network device that the cluster's configuration names (default: lo)",
    )
    command.add_argument(
        "--mac-prefix",
        metavar="XX:XX:XX",
        default="aa:00:00",
        help="first half of generated MAC addresses (default: aa:00:00)",
    )
    command.add_argument(
        "--file-storage-dir", metavar="DIR", help="directory for disks of the template file"
    )


def _add_backup(commands: Subparsers) -> None:
    command = commands.add_parser(
        "backup",
        help="write configuration and jobs to one file",
        description="Write configuration and jobs to one file. The master may run meanwhile.",
    )
    command.add_argument("file", metavar="FILE", help="the file to write")
    command.add_argument("--force", action="store_true", help="replace a file that exists")


def _add_restore(commands: Subparsers) -> None:
    command = commands.add_parser(
        "restore",
        help="return to a backup",
        description="Make a backup this machine's cluster. The master must be stopped.",
    )
    command.add_argument("file", metavar="FILE", help="a backup, or a database that was kept")
    command.add_argument(
        "--key",
        metavar="FILE",
        help="copy of the key with which the secrets are encrypted (default: this machine's)",
    )
    command.add_argument(
        "--without-secrets",
        action="store_true",
        help="drop private OS parameters, and make new secrets for DRBD disks",
    )


def _add_ensure_dirs(commands: Subparsers) -> None:
    command = commands.add_parser(
        "ensure-dirs",
        help="set owners and modes of the cluster's files",
        description="Make missing directories, and set owners and modes of everything that "
        "belongs to the cluster, for example for users that were created after it.",
    )
    command.add_argument("--dry-run", action="store_true", help="only show what would change")


def _add_renew_certificate(commands: Subparsers) -> None:
    command = commands.add_parser(
        "renew-certificate",
        help="make a new certificate for the API",
        description="Replace rapi.pem by a new self-signed certificate for this machine's present "
        "names and addresses. The old one is kept.",
    )
    command.add_argument(
        "--force", action="store_true", help="also replace a certificate that an authority issued"
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def find_owners(paths: pathutils.Paths) -> tuple[Owners, str]:
    """Return the owners for files, and a remark about them or ''.

    Root gives files to the daemons' users and their group if all of these exist. If none does, the
    daemons will run as root. Raises ``DaemonError`` if only some do.
    """
    users = [paths.user(user) for user in (pathutils.MASTERD_USER, pathutils.RAPI_USER)]
    if os.geteuid() != 0 or not all(users):
        return Owners(), ""
    found = privileges.find_accounts(users)
    if found is None:
        return Owners(), (
            "The daemons' users do not exist, so everything belongs to root, and the daemons "
            f"run as root. To create them: {privileges.commands_to_make(users)} && "
            "ganeti-cluster ensure-dirs"
        )
    (master, rapi), group = found
    return Owners(master, rapi, group), ""


def init(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Create a cluster and print the commands to run next."""
    nodes = [NodeSpec.parse(text) for text in arguments.node or [host.name()]]
    owners, remark = find_owners(paths)
    settings = Settings(
        enabled_hypervisors=arguments.enabled_hypervisors,
        enabled_disk_templates=arguments.enabled_disk_templates,
        master_netdev=arguments.master_netdev,
        mac_prefix=arguments.mac_prefix,
        file_storage_dir=arguments.file_storage_dir,
    )
    bootstrap.create(paths, arguments.name, nodes, settings, owners)
    if remark:
        print(remark)
    _warn_of_name(nodes[0].name)
    words = hooks.notice(paths)
    if words:
        print(f"Note: {words}.")
    print(next_steps(arguments.name, paths))


def _warn_of_name(master: str) -> None:
    """Print the warning about the machine's name that both daemons would log at their start."""
    names = host.own_names()
    if master not in names:
        print(f"Note: {host.renamed(master, names)}.")


def next_steps(name: str, paths: pathutils.Paths) -> str:
    """Return the commands to run in a new cluster."""
    return (
        f"The cluster {name} is created. Next:\n"
        f"  rapi-passwd admin     # an API user, kept in {paths.users_files[0]}\n"
        "  ganeti-masterd\n"
        "  ganeti-rapi -b 127.0.0.1 --require-authentication\n"
        f"Clients can verify the certificate with {paths.rapi_cert} (copy its "
        "CERTIFICATE part, never the key)."
    )


def save(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Make a backup and print what it holds; raises ``BackupError``."""
    found = backup.create(paths, arguments.file, force=arguments.force)
    print(f"{arguments.file} holds {found}.")
    if found.encrypted:
        print(
            f"It holds the secrets of {_count(found.encrypted, 'instance')}, encrypted with "
            f"{paths.backup_key}.\nRestoring them on another machine needs a copy of that key: "
            "keep one, but not with the backup."
        )


def load(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Restore a backup, and print what was done and the commands to run next."""
    owners, remark = find_owners(paths)
    done = restore.restore(
        paths,
        arguments.file,
        owners=owners,
        secrets=restore.RestoredSecrets(arguments.key, arguments.without_secrets),
    )
    if remark:
        print(remark)
    print("\n".join(describe(arguments.file, done)))
    _warn_of_name(done.master)


def describe(source: str, done: restore.Restored) -> list[str]:
    """Return lines about what a restoration has done."""
    made = ""
    if done.made is not None:
        made = time.strftime(", made %Y-%m-%d %H:%M:%S", time.localtime(done.made))
    lines = [f"Restored from {source}{made}: {done.contents}."]
    if done.kept is not None:
        lines.append(f"The previous database is kept as {done.kept}.")
    if done.ended:
        lines.append(
            "Jobs that had not ended at that time end in error and will not run: "
            f"{check.ranges(done.ended)}."
        )
    lines.append(
        f"Job ids continue at {done.last + 1}"
        + ("; which ones were used since the backup is not known." if done.guessed else ".")
    )
    if done.lacking:
        lines.append("Instances without private OS parameters: " + ", ".join(done.lacking) + ".")
    return [
        *lines,
        "The cluster does not know what was created, changed or removed since then.",
        "Next:",
        "  ganeti-masterd",
    ]


def mend(arguments: argparse.Namespace, paths: pathutils.Paths) -> int:
    """Set owners and modes, and print of which files; return 1 if a file was left alone."""
    owners, remark = find_owners(paths)
    done = ensure_dirs.ensure(paths, owners, dry_run=arguments.dry_run)
    if done.changed:
        print("\n".join((["Would change:"] if arguments.dry_run else []) + done.changed))
    elif not done.odd:
        print("nothing to do")
    for words in ([remark] if remark else []) + done.running:
        print(words)
    for words in done.odd:
        print(f"ganeti-cluster: {words}", file=sys.stderr)
    return constants.EXIT_FAILURE if done.odd else constants.EXIT_SUCCESS


def renew(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Make a new certificate, and print how to have it used."""
    owners, _ = find_owners(paths)
    done = renewal.renew(paths, owners, force=arguments.force)
    print(
        f"{paths.rapi_cert} is a new certificate for {', '.join(done.names)}.\n"
        f"It is valid until {done.end}. Its SHA-256 fingerprint is\n  {done.fingerprint}"
    )
    if done.kept is not None:
        print(f"The old one, with its key, is kept as {done.kept}.")
    print(
        "Clients that verify the certificate need a copy of the new one. Next, one of:\n"
        "  systemctl reload ganeti-rapi\n"
        f"  kill -HUP $(cat {paths.pid_file('ganeti-rapi')})"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


COMMANDS = {
    "init": init,
    "backup": save,
    "restore": load,
    "ensure-dirs": mend,
    "renew-certificate": renew,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    arguments = parse_arguments(argv)
    try:
        code = COMMANDS[arguments.command](arguments, pathutils.Paths.from_environment())
    except errors.Error as err:
        print(f"ganeti-cluster: {err}", file=sys.stderr)
        return constants.EXIT_FAILURE
    except OSError as err:
        print(f"ganeti-cluster: {describe_os_error(err)}", file=sys.stderr)
        return constants.EXIT_FAILURE
    return constants.EXIT_SUCCESS if code is None else code


if __name__ == "__main__":
    sys.exit(main())
