#!/usr/bin/env bash
# usage: scripts/ci/preview.sh STACK FILE [option of `pulumi preview` ...]
# The engine's own preview of the deployed stack, held against the policy. What it prints goes to FILE, the log and the run's
# summary; the exit code is the engine's.
set -euo pipefail
stack=$1 file=$2
shift 2
mkdir -p "$(dirname "$file")"
status=0
pulumi preview --stack "$stack" --policy-pack policy --suppress-outputs --non-interactive --color never "$@" 2>&1 |
  tee "$file" || status=$?
node dist/scripts/ci/summary.js "Preview of $stack" "$file" >> "$GITHUB_STEP_SUMMARY" ||
  echo "::warning::the preview could not be written to the run's summary; it stands in the log"
exit "$status"
