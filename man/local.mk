dist_man_MANS = \
	man/ganeti-cluster.8 \
	man/ganeti-masterd.8 \
	man/ganeti-rapi.8 \
	man/rapi-passwd.8
