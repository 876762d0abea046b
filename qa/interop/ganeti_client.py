"""Ganeti's own client library, unmodified: the life of an instance, or refusals.

    ganeti_client.py life|refusals

Run by the system's Python, which has the package python3-ganeti-rapi. ``clients`` sets RAPI_URL and
the other variables.
"""

import os
import sys
from urllib.parse import urlsplit

from ganeti.rapi import client

NAME = "life.example.com"
NODE = "node1.example.com"
URL = urlsplit(os.environ["RAPI_URL"])


def connect(user=os.environ["RAPI_USER"], password=os.environ["RAPI_PASSWORD"]):
    def configure(curl, logger):
        curl.setopt(curl.CAINFO, os.environ["CACERT"])
        curl.setopt(curl.SSL_VERIFYPEER, True)
        curl.setopt(curl.SSL_VERIFYHOST, 2)

    return client.GanetiRapiClient(
        URL.hostname, port=URL.port, username=user, password=password, curl_config_fn=configure
    )


def refused(code, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except client.GanetiApiError as err:
        assert err.code == code, (code, err.code, str(err))
    else:
        raise AssertionError(f"{function} was not refused with {code}")


def life():
    rapi = connect()

    def done(job_id):
        assert isinstance(job_id, int), job_id
        assert rapi.WaitForJobCompletion(job_id, period=0.05), rapi.GetJobStatus(job_id)
        return rapi.GetJobStatus(job_id)

    job = create(rapi, done)
    tag(rapi, done)
    stop_and_start(rapi, done)
    read_the_rest(rapi, job)
    done(rapi.DeleteInstance(NAME))


def create(rapi, done):
    """Create the instance; return its job."""
    assert rapi.GetVersion() == 2
    assert "instance-create-reqv1" in rapi.GetFeatures()
    assert rapi.GetInfo()["name"] == "cluster.example.com"
    os_name = os.environ["RAPI_OS"]
    assert os_name in rapi.GetOperatingSystems()

    job = done(
        rapi.CreateInstance(
            "create",
            NAME,
            "file",
            [{"size": 1024}],
            [{}],
            os=os_name,
            pnode=NODE,
            name_check=False,
            ip_check=False,
            beparams={"memory": 128},
        )
    )
    assert job["summary"] == [f"INSTANCE_CREATE({NAME})"], job["summary"]
    instance = rapi.GetInstance(NAME)
    assert instance["status"] == "running" and instance["beparams"]["maxmem"] == 128
    assert NAME in rapi.GetInstances()
    assert NAME in [one["name"] for one in rapi.GetInstances(bulk=True)]
    return job


def tag(rapi, done):
    done(rapi.AddInstanceTags(NAME, ["a", "b"]))
    done(rapi.DeleteInstanceTags(NAME, ["a"]))
    assert rapi.GetInstanceTags(NAME) == ["b"]
    done(rapi.AddClusterTags(["x"]))
    assert "x" in rapi.GetClusterTags()
    done(rapi.AddNodeTags(NODE, ["y"]))
    assert rapi.GetNodeTags(NODE) == ["y"]
    done(rapi.DeleteNodeTags(NODE, ["y"]))


def stop_and_start(rapi, done):
    done(rapi.ShutdownInstance(NAME))
    assert rapi.GetInstance(NAME)["status"] == "ADMIN_down"
    done(rapi.ReinstallInstance(NAME, os=os.environ["RAPI_OS"]))
    if rapi.GetInstance(NAME)["status"] != "running":
        done(rapi.StartupInstance(NAME))
    for kind in ("soft", "hard", "full"):
        done(rapi.RebootInstance(NAME, reboot_type=kind))
    assert rapi.GetInstance(NAME)["oper_state"] is True


def read_the_rest(rapi, job):
    nodes = int(os.environ["RAPI_NODES"])
    assert NODE in rapi.GetNodes() and len(rapi.GetNodes()) == nodes
    assert rapi.GetNode(NODE)["role"] == "M"
    assert all(node["mtotal"] for node in rapi.GetNodes(bulk=True))
    assert rapi.GetGroups() == ["default"] and rapi.GetGroup("default")["node_cnt"] == nodes
    assert job["id"] in rapi.GetJobs()
    assert {"id", "status"} <= rapi.GetJobs(bulk=True)[0].keys()
    assert rapi.CancelJob(job["id"])[0] is False


def refusals():
    rapi = connect()
    refused(404, rapi.GetInstance, NAME)
    refused(404, rapi.GetJobStatus, 10**9)
    refused(404, rapi.GetInstanceTags, NAME)
    refused(401, connect(password="wrong").GetInfo)
    refused(400, rapi.AddInstanceTags, "instance1.example.com", ["a b"])
    refused(501, rapi._SendRequest, "PUT", "/version", None, None)


def main():
    {"life": life, "refusals": refusals}[sys.argv[1]]()
    print("passed")


if __name__ == "__main__":
    main()
