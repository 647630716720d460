# The two commands of the README, and what CI runs after them. Each installs what it is missing.

.PHONY: demo test lint bench bench-proxy

demo:
	@deploy/prerequisites.sh cc cmake
	cargo run --release --locked -- demo

# Everything but the heavy groups, real Postgres included: well under 20 minutes on two cores with
# an empty build folder.
test: lint
	@deploy/prerequisites.sh cc cmake openssl postgres redis
	cargo test --locked

lint:
	@deploy/prerequisites.sh cc cmake
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings

# The decision and the directory, in-process.
bench:
	@deploy/prerequisites.sh cc cmake
	cargo bench --locked --bench decision

# Gatepost against bare Pingora: requests/s, latency, CPU and instructions per request.
bench-proxy:
	@deploy/prerequisites.sh cc cmake wrk valgrind
	cargo bench --locked --bench proxy
	cargo bench --locked --bench proxy -- --callgrind
