"""ganeti-cluster: creates the cluster that ganeti-masterd serves, and looks after its files."""

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

#: What ``add_subparsers`` returns; argparse has no public name for it.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="ganeti-cluster",
        description="Create a cluster on this machine, back it up, restore it, mend its files.",
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
    """Add ``init`` and its arguments."""
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
        help="network device that the cluster's description names (default: lo)",
    )
    command.add_argument(
        "--mac-prefix",
        metavar="XX:XX:XX",
        default="aa:00:00",
        help="first half of MAC addresses that are made up (default: aa:00:00)",
    )
    command.add_argument(
        "--file-storage-dir", metavar="DIR", help="where disks of the template file are kept"
    )


def _add_backup(commands: Subparsers) -> None:
    """Add ``backup`` and its arguments."""
    command = commands.add_parser(
        "backup",
        help="write configuration and jobs into one file",
        description="Write configuration and jobs into one file, while the master works or not.",
    )
    command.add_argument("file", metavar="FILE", help="the file to write")
    command.add_argument(
        "--force", action="store_true", help="replace a file that is there already"
    )


def _add_restore(commands: Subparsers) -> None:
    """Add ``restore`` and its arguments."""
    command = commands.add_parser(
        "restore",
        help="go back to a backup",
        description="Make a backup this machine's cluster. The master must be stopped.",
    )
    command.add_argument("file", metavar="FILE", help="a backup, or a database that was kept")
    command.add_argument(
        "--key",
        metavar="FILE",
        help="copy of the key that sealed the secrets (default: this machine's)",
    )
    command.add_argument(
        "--without-secrets",
        action="store_true",
        help="without private OS parameters, and with new secrets of DRBD disks",
    )


def _add_ensure_dirs(commands: Subparsers) -> None:
    """Add ``ensure-dirs`` and its arguments."""
    command = commands.add_parser(
        "ensure-dirs",
        help="set owners and modes of the cluster's files",
        description="Make directories that are missing; set owners and modes of all that a "
        "cluster has, as for users that were made after it.",
    )
    command.add_argument("--dry-run", action="store_true", help="change nothing, only say what")


def _add_renew_certificate(commands: Subparsers) -> None:
    """Add ``renew-certificate`` and its arguments."""
    command = commands.add_parser(
        "renew-certificate",
        help="make a new certificate for the API",
        description="Replace rapi.pem by a new self-signed certificate for today's names and "
        "addresses. The old one is kept.",
    )
    command.add_argument(
        "--force", action="store_true", help="replace a certificate that is not our own, too"
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def find_owners(paths: pathutils.Paths) -> tuple[Owners, str]:
    """Return whom files shall belong to, and what there is to say about it.

    Only root can give files away, and does where both users and the group exist. Where none
    of them does, the daemons will run as root; ``DaemonError`` where only some do.
    """
    users = [paths.user(user) for user in (pathutils.MASTERD_USER, pathutils.RAPI_USER)]
    if os.geteuid() != 0 or not all(users):
        return Owners(), ""
    found = privileges.find_accounts(users)
    if found is None:
        return Owners(), (
            "The daemons' users do not exist, so everything belongs to root, and the daemons "
            f"run as root. To make them: {privileges.commands_to_make(users)} && "
            "ganeti-cluster ensure-dirs"
        )
    (master, rapi), group = found
    return Owners(master, rapi, group), ""


def init(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Create the cluster and say what to type next."""
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
    """Say now what both daemons would say when they start."""
    names = host.own_names()
    if master not in names:
        print(f"Note: {host.renamed(master, names)}.")


def next_steps(name: str, paths: pathutils.Paths) -> str:
    """What to type once there is a cluster."""
    return (
        f"The cluster {name} is created. Next:\n"
        f"  rapi-passwd admin     # an API user, kept in {paths.users_files[0]}\n"
        "  ganeti-masterd\n"
        "  ganeti-rapi -b 127.0.0.1 --require-authentication\n"
        f"Clients can verify the certificate with {paths.rapi_cert} (copy its "
        "CERTIFICATE part, never the key)."
    )


def save(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Make a backup and say what it holds; ``BackupError`` if it cannot be made."""
    found = backup.create(paths, arguments.file, force=arguments.force)
    print(f"{arguments.file} holds {found}.")
    if found.encrypted:
        print(
            f"It holds the secrets of {_count(found.encrypted, 'instance')}, sealed with "
            f"{paths.backup_key}:\nto restore them elsewhere needs a copy of that key; "
            "keep one, but not beside the backup."
        )


def load(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Restore a backup, say what became of it and what to type next."""
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
    """What a restoration did, in lines."""
    made = ""
    if done.made is not None:
        made = time.strftime(", made %Y-%m-%d %H:%M:%S", time.localtime(done.made))
    lines = [f"Restored from {source}{made}: {done.contents}."]
    if done.kept is not None:
        lines.append(f"The database before it is kept as {done.kept}.")
    if done.ended:
        lines.append(
            f"Jobs that had not ended then end in error and do not run: {check.ranges(done.ended)}."
        )
    lines.append(
        f"Ids of jobs go on at {done.last + 1}"
        + (": which ones were given since the backup is not known." if done.guessed else ".")
    )
    if done.lacking:
        lines.append("Without their private OS parameters: " + ", ".join(done.lacking) + ".")
    return [
        *lines,
        "What was made, changed or removed since then, the cluster does not know.",
        "Next:",
        "  ganeti-masterd",
    ]


def mend(arguments: argparse.Namespace, paths: pathutils.Paths) -> int:
    """Set owners and modes, and say of what; 1 when something was left alone."""
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
    """Make a new certificate, and say how it comes into use."""
    owners, _ = find_owners(paths)
    done = renewal.renew(paths, owners, force=arguments.force)
    print(
        f"{paths.rapi_cert} is new, for {', '.join(done.names)}.\n"
        f"It holds until {done.end}. Its SHA-256 fingerprint is\n  {done.fingerprint}"
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
    """Run the command; its exit code."""
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
