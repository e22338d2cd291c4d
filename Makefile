# What takes too long for every build. `tests/run` is the gate; this is what runs for hours.

# How long `soak` goes on.
MINUTES ?= 240
# The first seed; another one each time, so that no two runs do the same.
FIRST ?= $(shell date +%s)000

.PHONY: soak
# The simulated store, seed after seed. Ends with the figures; a seed that found something is printed with what it found.
soak:
	cargo run --release --locked --package granary-store-simulation -- --first $(FIRST) --minutes $(MINUTES)
