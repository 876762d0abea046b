"""ganeti-cluster: creates the cluster that ganeti-masterd serves; backs it up, restores it."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import socket
import sys
import time
from collections.abc import Mapping, Sequence

from ganeti import bootstrap, constants, pathutils
from ganeti.upkeep import backup, restore, verify
from ganeti.upkeep.backup import BackupError
from ganeti.bootstrap import BootstrapError, NodeSpec, Owners, Settings


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="ganeti-cluster",
        description="Create a cluster on this machine, back it up, restore it.")
    parser.add_argument("--version", action="version",
                        version=f"%(prog)s (ganeti-rapi) {constants.RELEASE_VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    init = commands.add_parser(
        "init", help="create a cluster",
        description="Create what ganeti-masterd and ganeti-rapi need. Names are not resolved.")
    init.add_argument("name", metavar="NAME", help="name of the cluster")
    init.add_argument("--node", metavar="NAME[:MEMORY:DISK:CPUS]", action="append", default=[],
                      help="a node, repeated; the first is this machine (default: its host "
                           "name), the others are simulated; sizes in MiB or such as 64G")
    init.add_argument("--enabled-hypervisors", metavar="LIST", type=_words, default=["fake"],
                      help="comma separated (default: fake)")
    init.add_argument("--enabled-disk-templates", metavar="LIST", type=_words,
                      help="comma separated (default: file,diskless; with simulated nodes "
                           "also plain,drbd)")
    init.add_argument("--master-netdev", metavar="DEVICE", default="lo",
                      help="network device that the cluster's description names (default: lo)")
    init.add_argument("--mac-prefix", metavar="XX:XX:XX", default="aa:00:00",
                      help="first half of MAC addresses that are made up (default: aa:00:00)")
    init.add_argument("--file-storage-dir", metavar="DIR",
                      help="where disks of the template file are kept")
    save = commands.add_parser(
        "backup", help="write configuration and jobs into one file",
        description="Write configuration and jobs into one file, while the master works or not.")
    save.add_argument("file", metavar="FILE", help="the file to write")
    save.add_argument("--force", action="store_true", help="replace a file that is there already")
    load = commands.add_parser(
        "restore", help="go back to a backup",
        description="Make a backup this machine's cluster. The master must be stopped.")
    load.add_argument("file", metavar="FILE", help="a backup, or a database that was kept")
    load.add_argument("--key", metavar="FILE",
                      help="copy of the key that sealed the secrets (default: this machine's)")
    load.add_argument("--without-secrets", action="store_true",
                      help="without private OS parameters, and with new secrets of DRBD disks")
    return parser.parse_args(argv)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def host_name(environ: Mapping[str, str]) -> str:
    """This machine's name: GANETI_HOSTNAME, or what the kernel says."""
    return environ.get("GANETI_HOSTNAME") or socket.gethostname()


def find_owners(paths: pathutils.Paths, group: str = pathutils.DAEMONS_GROUP,
                ) -> tuple[Owners, str]:
    """Whom files shall belong to, and what there is to say about it.

    Only root can give files away, and does when both users and the group are
    there; else the daemons will run as whoever creates the cluster.
    """
    master, rapi = paths.user(pathutils.MASTERD_USER), paths.user(pathutils.RAPI_USER)
    if os.geteuid() != 0 or not master:
        return Owners(), ""
    try:
        return Owners(pwd.getpwnam(master).pw_uid, pwd.getpwnam(rapi).pw_uid,
                      grp.getgrnam(group).gr_gid), ""
    except KeyError:
        return Owners(), (f"There are no users {master} and {rapi} with a group {group} on this "
                          "machine: everything belongs to root, and so do the daemons.")


def init(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Create the cluster and say what to type next; ``BootstrapError`` if it cannot be."""
    nodes = [NodeSpec.parse(text) for text in arguments.node or [host_name(os.environ)]]
    owners, remark = find_owners(paths)
    settings = Settings(
        enabled_hypervisors=arguments.enabled_hypervisors,
        enabled_disk_templates=arguments.enabled_disk_templates,
        master_netdev=arguments.master_netdev, mac_prefix=arguments.mac_prefix,
        file_storage_dir=arguments.file_storage_dir)
    bootstrap.create(paths, arguments.name, nodes, settings, owners)
    if remark:
        print(remark)
    print(next_steps(arguments.name, paths))


def next_steps(name: str, paths: pathutils.Paths) -> str:
    """What to type once there is a cluster."""
    return (f"The cluster {name} is created. Next:\n"
            f"  rapi-passwd admin     # an API user, kept in {paths.users_files[0]}\n"
            "  ganeti-masterd\n"
            "  ganeti-rapi -b 127.0.0.1 --require-authentication\n"
            f"Clients can verify the certificate with {paths.rapi_cert} (copy its "
            "CERTIFICATE part, never the key).")


def save(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Make a backup and say what it holds; ``BackupError`` if it cannot be made."""
    found = backup.create(paths, arguments.file, force=arguments.force)
    print(f"{arguments.file} holds {found}.")
    if found.sealed:
        print(f"It holds the secrets of {_count(found.sealed, 'instance')}, sealed with "
              f"{paths.backup_key}:\nto restore them elsewhere needs a copy of that key; "
              "keep one, but not beside the backup.")


def load(arguments: argparse.Namespace, paths: pathutils.Paths) -> None:
    """Restore a backup, say what became of it and what to type next."""
    owners, remark = find_owners(paths)
    done = restore.restore(
        paths, arguments.file, owners=owners,
        secrets=restore.Secrets(arguments.key, arguments.without_secrets))
    if remark:
        print(remark)
    print("\n".join(describe(arguments.file, done)))


def describe(source: str, done: restore.Restored) -> list[str]:
    """What a restoration did, in lines."""
    made = "" if done.made is None else time.strftime(
        ", made %Y-%m-%d %H:%M:%S", time.localtime(done.made))
    lines = [f"Restored from {source}{made}: {done.contents}."]
    if done.kept is not None:
        lines.append(f"The database before it is kept as {done.kept}.")
    if done.ended:
        lines.append(f"Jobs that had not ended then end in error and do not run: "
                     f"{verify.ranges(done.ended)}.")
    lines.append(f"Ids of jobs go on at {done.last + 1}" + (
        ": which ones were given since the backup is not known." if done.guessed else "."))
    if done.lacking:
        lines.append("Without their private OS parameters: " + ", ".join(done.lacking) + ".")
    return [*lines, "What was made, changed or removed since then, the cluster does not know.",
            "Next:", "  ganeti-masterd"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


COMMANDS = {"init": init, "backup": save, "restore": load}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    arguments = parse_arguments(argv)
    try:
        COMMANDS[arguments.command](arguments, pathutils.Paths.from_environment())
    except (BootstrapError, BackupError) as err:
        print(f"ganeti-cluster: {err}", file=sys.stderr)
        return constants.EXIT_FAILURE
    return constants.EXIT_SUCCESS


if __name__ == "__main__":
    sys.exit(main())
