# Shared by the scripts: sourced, not run.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${CROSSPOINT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crosspoint}
export CROSSPOINT_CACHE=$cache
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
forge=$root/contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge
anvil=$root/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil
# The node of the native chain. The version is that of ledger/src/engine/cometbft/binary.rs too.
cometbft_version=0.38.26
cometbft=${CROSSPOINT_COMETBFT:-$cache/bin/cometbft}

say() { printf '==> %s\n' "$*"; }
fail() { printf 'crosspoint: %s\n' "$*" >&2; exit 1; }

# Exports what setup wrote down for this machine, so that a script works without make too.
if [[ -f $cache/env.mk ]]; then
  while IFS= read -r line; do
    if [[ $line =~ ^export\ ([A-Z_]+)\ :=\ (.*)$ ]]; then
      export "${BASH_REMATCH[1]}=${BASH_REMATCH[2]}"
    fi
  done <"$cache/env.mk"
fi
