# The suite in the source tree, with the settings of configure.

# $(PYTEST) may be a command that runs pytest inside another program (coverage).
PYTEST = $(PYTHON) -m pytest
PYTESTFLAGS =

check-local: all
	@$(PYTHON) -c 'import pytest' 2>/dev/null || { \
	  echo "make check needs pytest for $(PYTHON) (Debian: python3-pytest)" >&2; exit 1; }
	GANETI_TEST_LIB='$(abs_builddir)/lib:$(abs_srcdir)/lib' PYTHONDONTWRITEBYTECODE=1 \
	  $(PYTEST) -c $(srcdir)/pyproject.toml --rootdir=$(srcdir) -p no:cacheprovider \
	  $(PYTESTFLAGS) $(srcdir)/test
