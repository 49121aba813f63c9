#!/bin/sh
# Install what end-to-end runs need into hidden folders of this checkout, once for each version of its list.
#
#   install.sh server     .venv-e2e: llama.cpp's server and the newest OpenAI SDK       (PyPI, 180 MB)
#   install.sh clients    .e2e-clients: OpenCode, Qwen Code, the Node SDKs and a Node   (npm, 750 MB)
#
# PYTHON is the interpreter .venv-e2e is made with. Node comes from npm too, and npm runs under it:
# under an older one npm would choose older dependencies without a word, because of their "engines".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

is_installed() { # FOLDER LIST
    [ -e "$1/.installed" ] && cmp -s "$1/.installed" "$2"
}

install_server() {
    is_installed "$root/.venv-e2e" "$here/requirements.txt" && return
    echo "setting up .venv-e2e"
    "${PYTHON:-python3}" -m venv --clear "$root/.venv-e2e"
    "$root/.venv-e2e/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$root/.venv-e2e/.installed"
}

install_clients() {
    clients=$root/.e2e-clients
    is_installed "$clients" "$here/package.json" && return
    echo "setting up .e2e-clients"
    rm -rf "$clients"
    mkdir -p "$clients/node"
    echo '{"private": true}' >"$clients/node/package.json"
    npm_install "$clients/node" "node-$(platform)@22.23.3"
    ln -s "node/node_modules/node-$(platform)/bin" "$clients/bin"
    ln -s "node_modules/opencode-$(platform)/bin/opencode" "$clients/opencode"
    cp "$here/package.json" "$clients"
    PATH="$clients/bin:$PATH" npm_install "$clients"
    cp "$here/package.json" "$clients/.installed"
}

npm_install() { # FOLDER PACKAGE...
    (cd "$1" && shift && npm install --no-audit --no-fund --no-package-lock --loglevel=error "$@" >/dev/null)
}

platform() { # as npm names it: linux-x64, darwin-arm64
    uname -sm | tr '[:upper:]' '[:lower:]' | sed 's/ /-/; s/x86_64/x64/; s/aarch64/arm64/'
}

for what; do
    "install_$what"
done
