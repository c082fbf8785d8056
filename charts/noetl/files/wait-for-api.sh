# Waits until NoETL's API answers: workers register there first. Ends with an error after WAIT_SECONDS.
url="${NOETL_SERVER_URL%/}/api/health"
deadline=$(($(date +%s) + WAIT_SECONDS))
until curl --silent --fail --output /dev/null --max-time 5 "$url"; do
  left=$((deadline - $(date +%s)))
  if [ "$left" -le 0 ]; then
    echo "NoETL's API did not answer within $WAIT_SECONDS s: $url" >&2
    exit 1
  fi
  echo "waiting for NoETL's API: $url ($left s left)"
  sleep 3
done
echo "NoETL's API answers: $url"
