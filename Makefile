# Thin: each target is what a person could type.
PYTHON ?= python3
BIN = .venv/bin

# What runs the chip's own machine code on a PC (Debian's names): an emulator, and compilers for its small harness.
CHIP_PACKAGES = qemu-user clang-22 llvm-22 binutils-xtensa-lx106 libc6-dev
CHIP_TOOLS = qemu-xtensa qemu-riscv32 clang-22 llc-22 llvm-mc-22 xtensa-lx106-elf-ld

# Speech programs (Debian's names) that `sourdine train` also fetches by itself: installed, their tests run.
SPEECH_PACKAGES = espeak-ng flite festival festvox-kallpc16k festvox-us-slt-hts
SPEECH_TOOLS = espeak-ng flite festival

# install: the packages $(2), unless all of the programs $(1) are there
install = for tool in $(1); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; echo "missing:$$missing"; \
	if [ "$$(id -u)" != 0 ]; then echo "run: sudo apt-get install $(2)"; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null

.PHONY: demo demo-real test check check-static chip-tools speech-tools accel benchmark benchmark-chip benchmark-words clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/ready
	$(BIN)/sourdine demo

demo-real: .venv/ready
	$(BIN)/sourdine demo --real

test: .venv/ready
	$(BIN)/pytest -n 2 --dist worksteal

# With every test of the chip's code and of speech programs; `make test` alone leaves out what lacks its tools, and says so.
check: check-static chip-tools speech-tools
	SOURDINE_CHIP=required SOURDINE_SPEECH=required $(MAKE) test

chip-tools:
	@$(call install,$(CHIP_TOOLS),$(CHIP_PACKAGES))

speech-tools:
	@$(call install,$(SPEECH_TOOLS),$(SPEECH_PACKAGES))

check-static: .venv/ready
	$(BIN)/python tools/check.py

benchmark: .venv/ready
	$(BIN)/python benchmarks/ears.py

benchmark-words: .venv/ready speech-tools
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/ablation.py

benchmark-chip: .venv/ready chip-tools
	$(BIN)/python benchmarks/scale.py

# The optional accelerator, for `sourdine flash --accel`: build/accel/<processor>/accel.mpy
accel: .venv/ready chip-tools
	$(BIN)/python -m sourdine_tools.accel

clean:
	rm -rf build .pytest_cache .ruff_cache
