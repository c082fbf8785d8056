#!/usr/bin/env bash
# usage: scripts/ci/diff.sh STACK FOLDER [option of `npm run diff` ...]
# Compares the pull request with the branch it goes to. The reports go to FOLDER and the run's summary; the exit code is the
# comparison's, also where it left a report that says why it failed.
set -euo pipefail
stack=$1 folder=$2
shift 2
status=0
npm run --silent diff -- --stack "$stack" --base "origin/$GITHUB_BASE_REF" "$@" \
  --format markdown,html,json --output "$folder" \
  --artifact "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID" || status=$?
if [ -f "$folder/diff.md" ]; then cat "$folder/diff.md" >> "$GITHUB_STEP_SUMMARY"; fi
exit "$status"
