# The two commands of the README, and what CI runs after them. Each installs what it is missing.

.PHONY: demo test lint api-fuzz bench bench-proxy bench-flood fuzz deny

demo:
	@deploy/prerequisites.sh cc cmake
	cargo run --release --locked -- demo

# Everything but the heavy groups, real Postgres included: well under 20 minutes on two cores with
# an empty build folder.
test: lint
	@deploy/prerequisites.sh cc cmake curl openssl postgres redis
	cargo test --locked

lint:
	@deploy/prerequisites.sh cc cmake
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

# The OpenAPI document against a running server.
api-fuzz:
	@deploy/prerequisites.sh cc cmake python
	cargo build --locked
	tests/api-fuzz.sh

# The decision and the directory, in-process.
bench:
	@deploy/prerequisites.sh cc cmake
	cargo bench --locked --bench decision

# Gatepost against bare Pingora: requests/s, latency, CPU and instructions per request.
bench-proxy:
	@deploy/prerequisites.sh cc cmake wrk valgrind
	cargo bench --locked --bench proxy
	cargo bench --locked --bench proxy -- --callgrind

# Good traffic beside a flood of well-formed keys that are nobody's.
bench-flood:
	@deploy/prerequisites.sh cc cmake
	cargo bench --locked --bench proxy -- --flood

# A minute for each parser that an attacker meets first. Coverage needs an unstable compiler flag,
# which the stable compiler is told to take; a sanitizer has nothing to find without unsafe code.
fuzz:
	@deploy/prerequisites.sh cc c++ cmake
	@cargo fuzz --version >/dev/null 2>&1 || { echo "missing: cargo install --locked cargo-fuzz"; exit 1; }
	@for target in target head chunks headers credential key config spool; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=60 || exit 1; \
	done

# What we are made of: licences, sources, banned crates; and the advisories where the network has
# their database.
deny:
	@cargo deny --version >/dev/null 2>&1 || { echo "missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --config .deny.toml check bans licenses sources
	@cargo deny --config .deny.toml fetch db >/dev/null 2>&1 \
		&& cargo deny --config .deny.toml check advisories \
		|| echo "the advisory database cannot be had here: advisories are NOT checked"
