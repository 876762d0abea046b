# Installed documentation, and examples of configuration files.

docpagesdir = $(docdir)
dist_docpages_DATA = \
	HACKING.md \
	NEWS \
	README.md \
	doc/architecture.rst \
	doc/compatibility.md \
	doc/jobs.rst \
	doc/performance.md \
	doc/rapi.rst \
	doc/reliability.md \
	doc/security.rst

# make fills in the directories that were given to configure.
example_templates = \
	doc/examples/ganeti-masterd.service.in \
	doc/examples/ganeti-rapi.initd.in \
	doc/examples/ganeti-rapi.logrotate.in \
	doc/examples/ganeti-rapi.service.in

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	doc/examples/ganeti-rapi.default \
	doc/examples/ganeti-rapi.fail2ban \
	doc/examples/users
nodist_examples_SCRIPTS = doc/examples/ganeti-rapi.initd
nodist_examples_DATA = \
	$(filter-out $(nodist_examples_SCRIPTS),$(example_templates:.in=))

noopdir = $(docdir)/examples/os/noop
dist_noop_DATA = \
	doc/examples/os/noop/README \
	doc/examples/os/noop/ganeti_api_version \
	doc/examples/os/noop/parameters.list \
	doc/examples/os/noop/variants.list
dist_noop_SCRIPTS = \
	doc/examples/os/noop/create \
	doc/examples/os/noop/export \
	doc/examples/os/noop/import \
	doc/examples/os/noop/rename \
	doc/examples/os/noop/verify
