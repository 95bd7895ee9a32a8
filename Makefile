.PHONY: help
help:
	@echo targets: ext
ext:
	python setup.py -q build_ext --inplace
