# Every module. Written by autotools/list-files.

moduledir = $(pkgdatadir)/ganeti
dist_module_PYTHON = \
	lib/ganeti/__init__.py \
	lib/ganeti/bootstrap.py \
	lib/ganeti/certificate.py \
	lib/ganeti/constants.py \
	lib/ganeti/errors.py \
	lib/ganeti/hooks.py \
	lib/ganeti/ht.py \
	lib/ganeti/ipolicy.py \
	lib/ganeti/layout.py \
	lib/ganeti/locking.py \
	lib/ganeti/mcpu.py \
	lib/ganeti/other_ganeti.py \
	lib/ganeti/params.py \
	lib/ganeti/pathutils.py \
	lib/ganeti/serializer.py \
	lib/ganeti/ssconf.py \
	lib/ganeti/storage.py

module_cmdlibdir = $(pkgdatadir)/ganeti/cmdlib
dist_module_cmdlib_PYTHON = \
	lib/ganeti/cmdlib/__init__.py \
	lib/ganeti/cmdlib/allocation.py \
	lib/ganeti/cmdlib/base.py \
	lib/ganeti/cmdlib/cluster_verify.py \
	lib/ganeti/cmdlib/cluster_verify_config.py \
	lib/ganeti/cmdlib/cluster_verify_disks.py \
	lib/ganeti/cmdlib/cluster_verify_group.py \
	lib/ganeti/cmdlib/common.py \
	lib/ganeti/cmdlib/disks.py \
	lib/ganeti/cmdlib/findings.py \
	lib/ganeti/cmdlib/group_verify_disks.py \
	lib/ganeti/cmdlib/installation.py \
	lib/ganeti/cmdlib/instance_create.py \
	lib/ganeti/cmdlib/instance_query_data.py \
	lib/ganeti/cmdlib/instance_reboot.py \
	lib/ganeti/cmdlib/instance_reinstall.py \
	lib/ganeti/cmdlib/instance_remove.py \
	lib/ganeti/cmdlib/instance_shutdown.py \
	lib/ganeti/cmdlib/instance_startup.py \
	lib/ganeti/cmdlib/names.py \
	lib/ganeti/cmdlib/nics.py \
	lib/ganeti/cmdlib/os_diagnose.py \
	lib/ganeti/cmdlib/recovery.py \
	lib/ganeti/cmdlib/tagging.py \
	lib/ganeti/cmdlib/tags_del.py \
	lib/ganeti/cmdlib/tags_get.py \
	lib/ganeti/cmdlib/tags_search.py \
	lib/ganeti/cmdlib/tags_set.py \
	lib/ganeti/cmdlib/test_delay.py

module_configdir = $(pkgdatadir)/ganeti/config
dist_module_config_PYTHON = \
	lib/ganeti/config/__init__.py \
	lib/ganeti/config/config.py \
	lib/ganeti/config/reservations.py

module_daemondir = $(pkgdatadir)/ganeti/daemon
dist_module_daemon_PYTHON = \
	lib/ganeti/daemon/__init__.py \
	lib/ganeti/daemon/base.py \
	lib/ganeti/daemon/handover.py \
	lib/ganeti/daemon/life.py \
	lib/ganeti/daemon/options.py \
	lib/ganeti/daemon/pid_file.py \
	lib/ganeti/daemon/privileges.py \
	lib/ganeti/daemon/sd_notify.py

module_dbdir = $(pkgdatadir)/ganeti/db
dist_module_db_PYTHON = \
	lib/ganeti/db/__init__.py \
	lib/ganeti/db/files.py \
	lib/ganeti/db/schema.py \
	lib/ganeti/db/store.py

module_httpdir = $(pkgdatadir)/ganeti/http
dist_module_http_PYTHON = \
	lib/ganeti/http/__init__.py \
	lib/ganeti/http/certificate.py \
	lib/ganeti/http/connection.py \
	lib/ganeti/http/cors.py \
	lib/ganeti/http/errors.py \
	lib/ganeti/http/message.py \
	lib/ganeti/http/negotiation.py \
	lib/ganeti/http/openssl.py \
	lib/ganeti/http/parser.py \
	lib/ganeti/http/revocation.py \
	lib/ganeti/http/server.py \
	lib/ganeti/http/streaming.py \
	lib/ganeti/http/tls.py

module_hypervisordir = $(pkgdatadir)/ganeti/hypervisor
dist_module_hypervisor_PYTHON = \
	lib/ganeti/hypervisor/__init__.py \
	lib/ganeti/hypervisor/hv_base.py \
	lib/ganeti/hypervisor/hv_fake.py

module_jqueuedir = $(pkgdatadir)/ganeti/jqueue
dist_module_jqueue_PYTHON = \
	lib/ganeti/jqueue/__init__.py \
	lib/ganeti/jqueue/admission.py \
	lib/ganeti/jqueue/id_gaps.py \
	lib/ganeti/jqueue/job.py \
	lib/ganeti/jqueue/listing.py \
	lib/ganeti/jqueue/live.py \
	lib/ganeti/jqueue/purge.py \
	lib/ganeti/jqueue/queue.py \
	lib/ganeti/jqueue/recovery.py \
	lib/ganeti/jqueue/rows.py \
	lib/ganeti/jqueue/scheduler.py \
	lib/ganeti/jqueue/submission.py

module_luxidir = $(pkgdatadir)/ganeti/luxi
dist_module_luxi_PYTHON = \
	lib/ganeti/luxi/__init__.py \
	lib/ganeti/luxi/client.py \
	lib/ganeti/luxi/dialect.py \
	lib/ganeti/luxi/job_watcher.py \
	lib/ganeti/luxi/messages.py

module_maintenancedir = $(pkgdatadir)/ganeti/maintenance
dist_module_maintenance_PYTHON = \
	lib/ganeti/maintenance/__init__.py \
	lib/ganeti/maintenance/backup.py \
	lib/ganeti/maintenance/check.py \
	lib/ganeti/maintenance/encrypted_secrets.py \
	lib/ganeti/maintenance/ensure_dirs.py \
	lib/ganeti/maintenance/renewal.py \
	lib/ganeti/maintenance/repair.py \
	lib/ganeti/maintenance/restore.py \
	lib/ganeti/maintenance/upgrade.py \
	lib/ganeti/maintenance/wal.py

module_nodedir = $(pkgdatadir)/ganeti/node
dist_module_node_PYTHON = \
	lib/ganeti/node/__init__.py \
	lib/ganeti/node/agents.py \
	lib/ganeti/node/osdef.py

module_objectsdir = $(pkgdatadir)/ganeti/objects
dist_module_objects_PYTHON = \
	lib/ganeti/objects/__init__.py \
	lib/ganeti/objects/base.py \
	lib/ganeti/objects/cluster.py \
	lib/ganeti/objects/instance.py

module_opcodesdir = $(pkgdatadir)/ganeti/opcodes
dist_module_opcodes_PYTHON = \
	lib/ganeti/opcodes/__init__.py \
	lib/ganeti/opcodes/backup.py \
	lib/ganeti/opcodes/base.py \
	lib/ganeti/opcodes/cluster.py \
	lib/ganeti/opcodes/group.py \
	lib/ganeti/opcodes/instance.py \
	lib/ganeti/opcodes/instance_change.py \
	lib/ganeti/opcodes/instance_disks.py \
	lib/ganeti/opcodes/json_types.py \
	lib/ganeti/opcodes/network.py \
	lib/ganeti/opcodes/node.py \
	lib/ganeti/opcodes/query.py \
	lib/ganeti/opcodes/tags.py \
	lib/ganeti/opcodes/test.py

module_qlangdir = $(pkgdatadir)/ganeti/qlang
dist_module_qlang_PYTHON = \
	lib/ganeti/qlang/__init__.py \
	lib/ganeti/qlang/filters.py \
	lib/ganeti/qlang/job_filters.py \
	lib/ganeti/qlang/safe_regex.py

module_querydir = $(pkgdatadir)/ganeti/query
dist_module_query_PYTHON = \
	lib/ganeti/query/__init__.py \
	lib/ganeti/query/cluster.py \
	lib/ganeti/query/engine.py \
	lib/ganeti/query/group.py \
	lib/ganeti/query/instance.py \
	lib/ganeti/query/job.py \
	lib/ganeti/query/job_filter.py \
	lib/ganeti/query/node.py \
	lib/ganeti/query/others.py \
	lib/ganeti/query/parameters.py

module_rapidir = $(pkgdatadir)/ganeti/rapi
dist_module_rapi_PYTHON = \
	lib/ganeti/rapi/__init__.py \
	lib/ganeti/rapi/arguments.py \
	lib/ganeti/rapi/baserlib.py \
	lib/ganeti/rapi/client.py \
	lib/ganeti/rapi/faults.py \
	lib/ganeti/rapi/job_wait.py \
	lib/ganeti/rapi/permissions.py \
	lib/ganeti/rapi/precondition.py \
	lib/ganeti/rapi/reading.py \
	lib/ganeti/rapi/reference.py \
	lib/ganeti/rapi/submit.py

module_rapi_authdir = $(pkgdatadir)/ganeti/rapi/auth
dist_module_rapi_auth_PYTHON = \
	lib/ganeti/rapi/auth/__init__.py \
	lib/ganeti/rapi/auth/authenticator.py \
	lib/ganeti/rapi/auth/object_names.py \
	lib/ganeti/rapi/auth/passwords.py \
	lib/ganeti/rapi/auth/rights.py \
	lib/ganeti/rapi/auth/throttle.py \
	lib/ganeti/rapi/auth/users.py

module_rapi_rlib2dir = $(pkgdatadir)/ganeti/rapi/rlib2
dist_module_rapi_rlib2_PYTHON = \
	lib/ganeti/rapi/rlib2/__init__.py \
	lib/ganeti/rapi/rlib2/cluster.py \
	lib/ganeti/rapi/rlib2/filters.py \
	lib/ganeti/rapi/rlib2/groups.py \
	lib/ganeti/rapi/rlib2/instances.py \
	lib/ganeti/rapi/rlib2/instances_change.py \
	lib/ganeti/rapi/rlib2/instances_creation.py \
	lib/ganeti/rapi/rlib2/jobs.py \
	lib/ganeti/rapi/rlib2/networks.py \
	lib/ganeti/rapi/rlib2/nodes.py \
	lib/ganeti/rapi/rlib2/os.py \
	lib/ganeti/rapi/rlib2/query.py \
	lib/ganeti/rapi/rlib2/root.py \
	lib/ganeti/rapi/rlib2/tags.py

module_serverdir = $(pkgdatadir)/ganeti/server
dist_module_server_PYTHON = \
	lib/ganeti/server/__init__.py \
	lib/ganeti/server/cluster.py \
	lib/ganeti/server/listening.py \
	lib/ganeti/server/luxi_handlers.py \
	lib/ganeti/server/luxi_server.py \
	lib/ganeti/server/master_redirect.py \
	lib/ganeti/server/masterd.py \
	lib/ganeti/server/passwd.py \
	lib/ganeti/server/pipeline.py \
	lib/ganeti/server/rapi.py

module_utilsdir = $(pkgdatadir)/ganeti/utils
dist_module_utils_PYTHON = \
	lib/ganeti/utils/__init__.py \
	lib/ganeti/utils/acceptor.py \
	lib/ganeti/utils/checksum.py \
	lib/ganeti/utils/dir_cache.py \
	lib/ganeti/utils/edit.py \
	lib/ganeti/utils/event_loop.py \
	lib/ganeti/utils/generation.py \
	lib/ganeti/utils/host.py \
	lib/ganeti/utils/io.py \
	lib/ganeti/utils/limits.py \
	lib/ganeti/utils/log.py \
	lib/ganeti/utils/object_index.py \
	lib/ganeti/utils/orphans.py \
	lib/ganeti/utils/ownership.py \
	lib/ganeti/utils/process.py \
	lib/ganeti/utils/procfs.py \
	lib/ganeti/utils/redaction.py \
	lib/ganeti/utils/text.py \
	lib/ganeti/utils/unix_socket.py \
	lib/ganeti/utils/workers.py
