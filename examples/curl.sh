#!/usr/bin/env bash
# From a corpus to a compressed model with curl alone: bash curl.sh corpus.txt result.tar.gz
set -euo pipefail
FVT_URL=${FVT_URL:-http://127.0.0.1:8000}
MODEL=${MODEL:-sentence-transformers/all-MiniLM-L6-v2}
corpus=$1 result=$2

# A body on standard output; a refusal, which is one too, ends the script.
ask() {
    curl --silent --show-error --fail-with-body ${FVT_API_KEY:+--header "Authorization: Bearer $FVT_API_KEY"} "$@"
}
# A field at the top of a JSON object; jq would do, but is not everywhere.
field() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

job=$(ask "$FVT_URL/v1/jobs" \
    --form "base_model=$MODEL" \
    --form 'recipe={"vocab_size": 0.25, "export": {"int8": true}}' \
    --form "corpus=@$corpus" | field id)
echo "$job"

while true; do
    status=$(ask "$FVT_URL/v1/jobs/$job" | field status)
    case $status in
        succeeded) break ;;
        failed | cancelled) ask "$FVT_URL/v1/jobs/$job" >&2; exit 1 ;;
    esac
    sleep 2
done

# A download that breaks off goes on where it was.
ask --location --retry 5 --continue-at - --output "$result" "$FVT_URL/v1/jobs/$job/download"
sha256=$(ask "$FVT_URL/v1/jobs/$job" | field artifact | python3 -c 'import ast, sys; print(ast.literal_eval(sys.stdin.read())["sha256"])')
echo "$sha256  $result" | sha256sum --check --quiet
