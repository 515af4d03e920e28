#!/bin/sh
# Takes the list of disposable mail domains anew: the npm package disposable-email-domains-js, which carries the list of
# https://github.com/disposable-email-domains/disposable-email-domains. Both are dedicated to the public domain (CC0 1.0).
# Usage: assets/disposable/update.sh [VERSION]; without a version, the newest. Needs npm and node.
set -eu
directory=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "disposable-email-domains-js@${1:-latest}" >/dev/null
tar xzf disposable-email-domains-js-*.tgz
node -e '
const list = require("./package/dist/dict/disposable_email_blocklist.json")
const clean = [...new Set(list.map((domain) => domain.trim().toLowerCase()))].sort()
process.stdout.write(clean.join("\n") + "\n")' > "$directory/domains.txt"
version=$(node -p 'require("./package/package.json").version')
cat > "$directory/NOTICE" <<END
domains.txt is the list of disposable-email-domains-js $version (npm), which is made from
https://github.com/disposable-email-domains/disposable-email-domains. Its authors dedicated it to the public domain:
CC0 1.0 Universal, https://creativecommons.org/publicdomain/zero/1.0/.
END
