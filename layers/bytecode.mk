# Included by the Makefiles that `sam build` calls. Lambda mounts code read-only: without bytecode, each cold start
# compiles every module that it imports.

RUNTIME := 3.13
PYTHON ?= python3

# The first Python of that minor version, whose bytecode fits every CPU; empty where there is none. A shim of pyenv may be
# on PATH and not run.
COMPILER := $(shell for python in python$(RUNTIME) $(PYTHON); do \
  $$python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(RUNTIME)")' 2>/dev/null && echo $$python && break; \
  done)

# $(1): the built folder, $(2): where Lambda mounts it, which the bytecode names in place of the build's folder.
#
# Python compares unchecked bytecode with no source, so the times of the files do not matter. -I keeps out this machine's
# settings, such as PYTHONPYCACHEPREFIX. One process compiles all files in order, so the same sources and the same Python
# give the same bytes: a build of the same sources is no new version.
define compile
@find $(1) -name __pycache__ -prune -exec rm -r {} +
$(if $(COMPILER),@$(COMPILER) -I -m compileall -q --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1))
endef
