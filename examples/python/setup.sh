#!/usr/bin/env bash
# Makes a virtual environment with grpcio and the stubs of our protocol inside.
# Usage: setup.sh [DIRECTORY]; without one, .venv beside this script.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/.venv}
proto=$here/../../proto

python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
stubs=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$venv/bin/python" -m grpc_tools.protoc --proto_path="$proto" \
    --python_out="$stubs" --grpc_python_out="$stubs" "$proto"/cvrsd/jobs/v1/*.proto
echo "ready: $venv/bin/python $here/client.py FILE"
