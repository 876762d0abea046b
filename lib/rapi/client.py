"""A client of the Ganeti remote API in one file.

Copy it wherever it is needed: it imports nothing but the standard library of
Python 3.6 or later. ::

    from client import GanetiClient

    client = GanetiClient("https://cluster.example.com:5080", "admin", "secret",
                          ca_file="/etc/ssl/cluster.pem")
    print(client.get_info()["software_version"])
    job = client.create_instance("web.example.com", disk_template="file", os_type="noop",
                                 disks=[{"size": "1G"}], nics=[{}])
    client.wait_for_job(job)        # raises JobError when it fails
    for instance in client.get_instances(bulk=True):
        print(instance["name"], instance["status"])

Methods that change something answer the number of a job, and take these words:
``dry_run`` (check, change nothing), ``reason`` (a text that the job shows),
``idempotency_key`` (a text of your own, new for each change: the same call with the same
key again, after ``NoAnswer`` say, answers the job that the first one made), and
where there is a body ``depends`` (``[[job, ["success"]], ...]``), ``priority`` (-10, 0
or 10) and ``comment``. One client may be used by many threads; each request has a
connection of its own.
"""

import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

__all__ = ["ApiError", "GanetiClient", "JobError", "NoAnswer", "FINAL"]

#: Statuses of a job that has ended.
FINAL = frozenset({"success", "error", "canceled"})


class NoAnswer(Exception):
    """The API cannot be reached, or what answers is no Ganeti."""


class ApiError(Exception):
    """The API refused: ``code`` is the HTTP status, ``message`` what was wrong."""

    def __init__(self, code: int, message: str, explain: str = "", detail: str = "") -> None:
        super().__init__("%d %s%s" % (code, message, ": " + detail if detail else ""))
        self.code = code
        self.message = message
        self.explain = explain
        self.detail = detail


class JobError(Exception):
    """A job did not succeed; ``job`` is what ``get_job`` showed in the end."""

    def __init__(self, job: Dict[str, Any]) -> None:
        self.job = job
        super().__init__("job %s ended in %s: %s" % (
            job.get("id"), job.get("status"), self._reason(job)))

    @staticmethod
    def _reason(job: Dict[str, Any]) -> str:
        for status, result in zip(job.get("opstatus") or [], job.get("opresult") or []):
            if status != "success":
                try:
                    return str(result[1][0]) if isinstance(result, list) else str(result)
                except (LookupError, TypeError):
                    return str(result)
        return ""


class GanetiClient:
    """Talks to one cluster.

    ``url`` is where the API is (``https://cluster.example.com:5080``); ``ca_file``
    holds the certificate to trust, instead of those of the system. ``timeout`` is
    in seconds, for each request.
    """

    def __init__(self, url: str, user: str = "", password: str = "", *,
                 ca_file: Optional[str] = None, timeout: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._headers = {"Accept": "application/json"}
        if user:
            token = base64.b64encode(("%s:%s" % (user, password)).encode("utf-8"))
            self._headers["Authorization"] = "Basic " + token.decode("ascii")
        handlers: List[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self._url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(
                context=ssl.create_default_context(cafile=ca_file)))
        self._opener = urllib.request.build_opener(*handlers)

    # -- requests --------------------------------------------------------------

    def request(self, method: str, path: str, query: Iterable[Tuple[str, Any]] = (),
                body: Any = None, idempotency_key: Optional[str] = None) -> Any:
        """One request; the JSON that answers it.

        Words of the query that are None are left out; True and False become 1
        and 0. Raises ``ApiError`` or ``NoAnswer``.
        """
        words = [(name, int(value) if isinstance(value, bool) else value)
                 for name, value in query if value is not None]
        url = self._url + path + ("?" + urllib.parse.urlencode(words) if words else "")
        request = urllib.request.Request(url, method=method, headers=self._headers)
        if body is not None:
            request.data = json.dumps(body).encode("ascii")
            request.add_header("Content-Type", "application/json")
        if idempotency_key is not None:
            quoted = idempotency_key.replace("\\", "\\\\").replace('"', '\\"')
            request.add_header("Idempotency-Key", '"%s"' % quoted)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as err:
            with err:
                raise self._refusal(err.code, err.reason, err.read()) from None
        except OSError as err:
            raise NoAnswer("%s does not answer: %s" % (self._url, err)) from err
        try:
            return json.loads(text.decode("utf-8"))
        except ValueError:
            raise NoAnswer("%s answered something that is no JSON" % url) from None

    @staticmethod
    def _refusal(code: int, reason: str, text: bytes) -> ApiError:
        try:
            body = json.loads(text.decode("utf-8"))
            return ApiError(code, str(body["message"]), str(body["explain"]),
                            str(body.get("detail", "")))
        except (ValueError, LookupError, TypeError, AttributeError):
            return ApiError(code, str(reason))

    def _get(self, *names: str, **query: Any) -> Any:
        return self.request("GET", _path(names), query.items())

    def _change(self, method: str, *names: str, body: Optional[Dict[str, Any]] = None,
                **query: Any) -> int:
        if "dry_run" in query:
            query["dry-run"] = query.pop("dry_run")
        key = body.pop("idempotency_key", None) if body else None
        return int(self.request(method, _path(names), query.items(), body or None, key))

    # -- the cluster -------------------------------------------------------------

    def get_version(self) -> int:
        """Version of the API: 2."""
        return int(self.request("GET", "/version"))

    def get_resources(self) -> List[Dict[str, str]]:
        """What there is: ``[{"name", "uri"}]``."""
        return list(self.request("GET", "/2"))

    def get_features(self) -> List[str]:
        """What this API can do; nothing for one that is too old to be asked."""
        try:
            return list(self._get("features"))
        except ApiError as err:
            if err.code == 404:
                return []
            raise

    def get_info(self) -> Dict[str, Any]:
        """Everything about the cluster."""
        return dict(self._get("info"))

    def get_operating_systems(self) -> List[str]:
        """Names of what can be installed, ``name+variant``."""
        return list(self._get("os"))

    def query(self, kind: str, fields: Iterable[str],
              qfilter: Optional[List[Any]] = None) -> Dict[str, Any]:
        """Any fields of all things of a kind: ``{"fields", "data"}``, cells ``[status, value]``."""
        body = {"fields": list(fields), "qfilter": qfilter}
        return dict(self.request("PUT", _path(("query", kind)), body=body))

    def query_fields(self, kind: str, fields: Optional[Iterable[str]] = None) -> Dict[str, Any]:
        """Which fields there are of a kind: ``{"fields": [{"name", "title", ...}]}``."""
        return dict(self._get("query", kind, "fields",
                              fields=None if fields is None else ",".join(fields)))

    # -- nodes and groups ----------------------------------------------------------

    def get_nodes(self, bulk: bool = False) -> List[Any]:
        """Names of the nodes, or with ``bulk`` all about each."""
        return _listed(self._get("nodes", bulk=bulk or None), bulk)

    def get_node(self, node: str) -> Dict[str, Any]:
        """All about one node."""
        return dict(self._get("nodes", node))

    def get_groups(self, bulk: bool = False) -> List[Any]:
        """Names of the node groups, or with ``bulk`` all about each."""
        return _listed(self._get("groups", bulk=bulk or None), bulk)

    def get_group(self, group: str) -> Dict[str, Any]:
        """All about one node group."""
        return dict(self._get("groups", group))

    # -- instances -----------------------------------------------------------------

    def get_instances(self, bulk: bool = False) -> List[Any]:
        """Names of the instances, or with ``bulk`` all about each."""
        return _listed(self._get("instances", bulk=bulk or None), bulk)

    def get_instance(self, instance: str) -> Dict[str, Any]:
        """All about one instance."""
        return dict(self._get("instances", instance))

    def create_instance(self, name: str, disk_template: str, disks: List[Dict[str, Any]],
                        nics: List[Dict[str, Any]], *, mode: str = "create",
                        dry_run: Optional[bool] = None, reason: Optional[str] = None,
                        **parameters: Any) -> int:
        """Create an instance; ``parameters`` are fields of OP_INSTANCE_CREATE.

        Disks are ``{"size": MiB or "1G"}``, NICs ``{"mac", "ip", "mode", "link"}``, all
        of which may be left out.
        """
        body = dict(parameters, __version__=1, instance_name=name, mode=mode,
                    disk_template=disk_template, disks=disks, nics=nics)
        return self._change("POST", "instances", body=body, dry_run=dry_run, reason=reason)

    def delete_instance(self, instance: str, *, dry_run: Optional[bool] = None,
                        reason: Optional[str] = None, **parameters: Any) -> int:
        """Stop an instance and remove it with its disks."""
        return self._change("DELETE", "instances", instance, body=parameters, dry_run=dry_run,
                            reason=reason)

    def start_instance(self, instance: str, *, force: Optional[bool] = None,
                       no_remember: Optional[bool] = None, dry_run: Optional[bool] = None,
                       reason: Optional[str] = None, **parameters: Any) -> int:
        """Start an instance."""
        return self._change("PUT", "instances", instance, "startup", body=parameters,
                            force=force, no_remember=no_remember, dry_run=dry_run,
                            reason=reason)

    def stop_instance(self, instance: str, *, no_remember: Optional[bool] = None,
                      dry_run: Optional[bool] = None, reason: Optional[str] = None,
                      **parameters: Any) -> int:
        """Stop an instance; ``timeout`` is how many seconds it may take by itself."""
        return self._change("PUT", "instances", instance, "shutdown", body=parameters,
                            no_remember=no_remember, dry_run=dry_run, reason=reason)

    def reboot_instance(self, instance: str, kind: str = "hard", *,
                        ignore_secondaries: Optional[bool] = None,
                        dry_run: Optional[bool] = None, reason: Optional[str] = None,
                        **parameters: Any) -> int:
        """Reboot an instance: hard, soft or full."""
        return self._change("POST", "instances", instance, "reboot", body=parameters,
                            type=kind, ignore_secondaries=ignore_secondaries,
                            dry_run=dry_run, reason=reason)

    def reinstall_instance(self, instance: str, os: Optional[str] = None, *, start: bool = True,
                           osparams: Optional[Dict[str, Any]] = None,
                           reason: Optional[str] = None, **parameters: Any) -> int:
        """Stop an instance, install its OS again (or another), and start it."""
        body = dict(parameters, start=start)
        body.update((key, value) for key, value in (("os", os), ("osparams", osparams))
                    if value is not None)
        return self._change("POST", "instances", instance, "reinstall", body=body,
                            reason=reason)

    def create_instances(self, instances: List[Dict[str, Any]], **parameters: Any) -> int:
        """Create many: each as the body of one, without ``__version__``."""
        return self._do("POST", "instances-multi-alloc", body=dict(
            parameters, instances=instances))

    def modify_instance(self, instance: str, **parameters: Any) -> int:
        """Change an instance; ``parameters`` are fields of OP_INSTANCE_SET_PARAMS."""
        return self._do("PUT", "instances", instance, "modify", body=parameters)

    def rename_instance(self, instance: str, new_name: str, **parameters: Any) -> int:
        """Give an instance another name."""
        return self._do("PUT", "instances", instance, "rename", body=dict(
            parameters, new_name=new_name))

    def migrate_instance(self, instance: str, **parameters: Any) -> int:
        """Move an instance, which may run, to another of its nodes."""
        return self._do("PUT", "instances", instance, "migrate", body=parameters)

    def failover_instance(self, instance: str, **parameters: Any) -> int:
        """Stop an instance and start it on another of its nodes."""
        return self._do("PUT", "instances", instance, "failover", body=parameters)

    def get_console(self, instance: str) -> Dict[str, Any]:
        """How to reach the console of an instance that runs."""
        return dict(self._get("instances", instance, "console"))

    def get_instance_details(self, instance: str, static: Optional[bool] = None) -> int:
        """A job whose result has all about an instance; ``static`` asks no node."""
        return int(self._get("instances", instance, "info", static=static))

    def activate_disks(self, instance: str, **parameters: Any) -> int:
        """Make the disks of a stopped instance usable on its node."""
        return self._do("PUT", "instances", instance, "activate-disks", body=parameters)

    def deactivate_disks(self, instance: str, **parameters: Any) -> int:
        """Undo ``activate_disks``."""
        return self._do("PUT", "instances", instance, "deactivate-disks", body=parameters)

    def grow_disk(self, instance: str, disk: int, amount: int, **parameters: Any) -> int:
        """Make a disk ``amount`` MiB longer."""
        return self._do("POST", "instances", instance, "disk", str(disk), "grow", body=dict(
            parameters, amount=amount))

    def replace_disks(self, instance: str, mode: str, **parameters: Any) -> int:
        """Make disks anew that are kept on two nodes, or one of their two places."""
        return self._do("POST", "instances", instance, "replace-disks", body=dict(
            parameters, mode=mode))

    def recreate_disks(self, instance: str, **parameters: Any) -> int:
        """Make the disks of an instance that has lost them anew, empty."""
        return self._do("POST", "instances", instance, "recreate-disks", body=parameters)

    def prepare_export(self, instance: str, mode: str) -> int:
        """A job whose result is what ``export_instance`` needs."""
        return self._do("PUT", "instances", instance, "prepare-export", body={"mode": mode})

    def export_instance(self, instance: str, destination: Any, **parameters: Any) -> int:
        """Write the disks of an instance to a node, or to another cluster."""
        return self._do("PUT", "instances", instance, "export", body=dict(
            parameters, destination=destination))

    # -- changes of nodes, groups, networks and the cluster -------------------------------

    def get_node_role(self, node: str) -> str:
        """master, master-candidate, regular, drained or offline."""
        return str(self._get("nodes", node, "role"))

    def set_node_role(self, node: str, role: str, force: Optional[bool] = None) -> int:
        """Give a node another role, but for master."""
        return int(self.request("PUT", _path(("nodes", node, "role")), [("force", force)], role))

    def modify_node(self, node: str, **parameters: Any) -> int:
        """Change a node; ``parameters`` are fields of OP_NODE_SET_PARAMS."""
        return self._do("POST", "nodes", node, "modify", body=parameters)

    def evacuate_node(self, node: str, mode: str, **parameters: Any) -> int:
        """Move instances off a node: primary-only, secondary-only or all."""
        return self._do("POST", "nodes", node, "evacuate", body=dict(parameters, mode=mode))

    def migrate_node(self, node: str, **parameters: Any) -> int:
        """Migrate every instance whose primary node it is."""
        return self._do("POST", "nodes", node, "migrate", body=parameters)

    def powercycle_node(self, node: str, force: Optional[bool] = None) -> int:
        """Switch a node off and on again."""
        return self._change("POST", "nodes", node, "powercycle", force=force)

    def create_group(self, group: str, **parameters: Any) -> int:
        """Make a group of nodes, without nodes."""
        return self._do("POST", "groups", body=dict(parameters, group_name=group))

    def modify_group(self, group: str, **parameters: Any) -> int:
        """Change a group."""
        return self._do("PUT", "groups", group, "modify", body=parameters)

    def rename_group(self, group: str, new_name: str) -> int:
        """Give a group another name."""
        return self._do("PUT", "groups", group, "rename", body={"new_name": new_name})

    def delete_group(self, group: str) -> int:
        """Remove a group that has no nodes."""
        return self._do("DELETE", "groups", group)

    def assign_nodes(self, group: str, nodes: List[str], force: Optional[bool] = None) -> int:
        """Put nodes into a group."""
        return self._change("PUT", "groups", group, "assign-nodes", body={"nodes": nodes},
                            force=force)

    def get_networks(self, bulk: bool = False) -> List[Any]:
        """Names of the networks, or with ``bulk`` all about each."""
        return _listed(self._get("networks", bulk=bulk or None), bulk)

    def get_network(self, network: str) -> Dict[str, Any]:
        """All about one network."""
        return dict(self._get("networks", network))

    def create_network(self, network: str, addresses: str, **parameters: Any) -> int:
        """Make a network of IPv4 addresses such as ``192.0.2.0/24``."""
        return self._do("POST", "networks", body=dict(
            parameters, network_name=network, network=addresses))

    def modify_network(self, network: str, **parameters: Any) -> int:
        """Change a network."""
        return self._do("PUT", "networks", network, "modify", body=parameters)

    def delete_network(self, network: str) -> int:
        """Remove a network that no group is connected to."""
        return self._do("DELETE", "networks", network)

    def connect_network(self, network: str, group: str, mode: str, link: str,
                        **parameters: Any) -> int:
        """Have the nodes of a group reach a network."""
        return self._do("PUT", "networks", network, "connect", body=dict(
            parameters, group_name=group, network_mode=mode, network_link=link))

    def disconnect_network(self, network: str, group: str) -> int:
        """Undo ``connect_network``."""
        return self._do("PUT", "networks", network, "disconnect", body={"group_name": group})

    def modify_cluster(self, **parameters: Any) -> int:
        """Change the cluster; ``parameters`` are fields of OP_CLUSTER_SET_PARAMS."""
        return self._do("PUT", "modify", body=parameters)

    def redistribute_config(self) -> int:
        """Write the configuration to all nodes again."""
        return self._do("PUT", "redistribute-config")

    def _do(self, method: str, *names: str, body: Optional[Dict[str, Any]] = None) -> int:
        """A change whose words of the query are the common ones."""
        parameters = dict(body or {})
        words = {name: parameters.pop(name, None) for name in ("dry_run", "reason")}
        return self._change(method, *names, body=parameters, **words)

    # -- job filters ------------------------------------------------------------------

    def get_filters(self) -> List[Dict[str, Any]]:
        """All rules, with all about each."""
        return list(self._get("filters", bulk=True))

    def put_filter(self, uuid: Optional[str] = None, **rule: Any) -> str:
        """Store a rule, or replace the one of this uuid; its uuid.

        ``rule``: priority, predicates, action and reason.
        """
        return str(self.request("POST", _path(("filters",)), body=rule) if uuid is None
                   else self.request("PUT", _path(("filters", uuid)), body=rule))

    def delete_filter(self, uuid: str) -> None:
        """Remove a rule."""
        self.request("DELETE", _path(("filters", uuid)))

    # -- tags ------------------------------------------------------------------------

    def get_tags(self) -> List[str]:
        """Tags of the cluster."""
        return list(self._get("tags"))

    def add_tags(self, tags: Iterable[str], **words: Any) -> int:
        """Tag the cluster."""
        return self._tags("PUT", tags, words)

    def delete_tags(self, tags: Iterable[str], **words: Any) -> int:
        """Remove tags of the cluster."""
        return self._tags("DELETE", tags, words)

    def get_node_tags(self, node: str) -> List[str]:
        """Tags of a node."""
        return list(self._get("nodes", node, "tags"))

    def add_node_tags(self, node: str, tags: Iterable[str], **words: Any) -> int:
        """Tag a node."""
        return self._tags("PUT", tags, words, "nodes", node)

    def delete_node_tags(self, node: str, tags: Iterable[str], **words: Any) -> int:
        """Remove tags of a node."""
        return self._tags("DELETE", tags, words, "nodes", node)

    def get_instance_tags(self, instance: str) -> List[str]:
        """Tags of an instance."""
        return list(self._get("instances", instance, "tags"))

    def add_instance_tags(self, instance: str, tags: Iterable[str], **words: Any) -> int:
        """Tag an instance."""
        return self._tags("PUT", tags, words, "instances", instance)

    def delete_instance_tags(self, instance: str, tags: Iterable[str], **words: Any) -> int:
        """Remove tags of an instance."""
        return self._tags("DELETE", tags, words, "instances", instance)

    def _tags(self, method: str, tags: Iterable[str], words: Dict[str, Any],
              *names: str) -> int:
        # In the query, where every version of Ganeti reads them.
        query = [("tag", tag) for tag in tags]
        query += [(name.replace("_", "-"), value) for name, value in words.items()
                  if name != "idempotency_key"]
        return int(self.request(method, _path((*names, "tags")), query,
                                idempotency_key=words.get("idempotency_key")))

    # -- jobs ------------------------------------------------------------------------

    def get_jobs(self, bulk: bool = False, *, status: Optional[Iterable[str]] = None,
                 since: Optional[float] = None, after: Optional[int] = None,
                 order: Optional[str] = None, limit: Optional[int] = None,
                 archived: Optional[bool] = None) -> List[Any]:
        """Numbers of the jobs, or with ``bulk`` all about each but log and results.

        Of those with any of these statuses, received at ``since`` (seconds since 1970) or
        later, beyond the number ``after``, in the order "asc" or "desc", at most ``limit``.
        """
        words = None if status is None else ",".join(status)
        jobs = self._get("jobs", bulk=bulk or None, status=words, after=after, order=order,
                         since=None if since is None else "%.6f" % since, limit=limit,
                         archived=archived)
        return list(jobs) if bulk else [int(job["id"]) for job in jobs]

    def get_job(self, job: int) -> Dict[str, Any]:
        """All about one job."""
        return dict(self._get("jobs", str(job)))

    def cancel_job(self, job: int) -> Tuple[bool, str]:
        """Cancel a job: whether that was possible, and what becomes of it."""
        done, text = self.request("DELETE", _path(("jobs", str(job))))
        return bool(done), str(text)

    def wait_for_job(self, job: int, timeout: Optional[float] = None,
                     pause: Callable[[float], object] = time.sleep) -> Dict[str, Any]:
        """Wait until a job has ended; what ``get_job`` says then.

        Asks more rarely the longer it takes, every two seconds at last. Raises
        ``JobError`` when it did not succeed, ``TimeoutError`` after ``timeout`` seconds
        of waiting.
        """
        step, waited = 0.05, 0.0
        while True:
            found = self.get_job(job)
            if found["status"] == "success":
                return found
            if found["status"] in FINAL:
                raise JobError(found)
            if timeout is not None and waited >= timeout:
                raise TimeoutError("job %d is still %s" % (job, found["status"]))
            pause(step)
            waited += step
            step = min(step * 1.5, 2.0)


def _path(names: Iterable[str]) -> str:
    return "/2/" + "/".join(urllib.parse.quote(name, safe="") for name in names)


def _listed(entries: List[Dict[str, Any]], bulk: bool) -> List[Any]:
    """Objects as they are, or only their names: ``id`` in Ganeti, for groups ``name``."""
    return list(entries) if bulk else [entry.get("name", entry.get("id")) for entry in entries]
