#!/bin/sh
# tools/check: every check finds the fault it is there for, and is content with a tree without it.
set -eu
/usr/bin/python3 -c 'import yaml' 2>/dev/null || exit 77 # tools/bootstrap --build does without
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAIL: $*" >&2
    exit 1
}
cp -r "$root/tools" "$root/.clang-format" "$work"
cd "$work"
git init -q .
mkdir -p common trust fleet certs db api server agent cli tests config build
output=$work/build/output
run() {
    tools/check "$1" >"$output" 2>&1
}
good() { # check
    run "$1" || {
        cat "$output" >&2
        fail "$1 complains of a good tree"
    }
}
bad() { # check, file, its text, what must be said
    printf '%b' "$3" >"$2"
    if run "$1"; then
        fail "$1 overlooks $2"
    fi
    grep -qF "$4" "$output" || {
        cat "$output" >&2
        fail "$1 does not say '$4'"
    }
    rm "$2"
}

cat >common/text.h <<'END'
/* A header as it should be. */
#ifndef PAWL_COMMON_TEXT_H
#define PAWL_COMMON_TEXT_H

int text_length(const char *text);

#endif
END
cat >fleet/good.c <<'END'
#include "common/text.h"

/* strcpy( and time( in a comment, "SELECT a" too */
int text_length(const char *text) {
    const char *words[] = {"Select a kind", "strcpy(", "RELEASE VERSION"};
    return text == words[0];
}
END
mkdir -p db/migrations db/queries
printf 'CREATE TABLE cat (id INTEGER PRIMARY KEY, name TEXT NOT NULL, colour TEXT);\nCREATE INDEX cat_by_name ON cat (name, id);\n' >db/migrations/0001_cat.sql
printf -- '-- name: cat_named\nSELECT id FROM cat WHERE name = $1 ORDER BY id;\n' >db/queries/cat.sql
printf 'int cats = DB_QUERY_CAT_NAMED + DB_QUERY_CAT_OTHER;\n' >db/cat.c
sed -i '/^WALKS = {$/,/^}$/c WALKS = {}' tools/checks/plans.py
for check in includes headers sizes calls sql plans words scripts; do
    good "$check"
done

bad includes fleet/bad.c '#include "db/db.h"\n' '"db/db.h" is no path from the root'
touch db/db.h
bad includes fleet/bad.c '#include "db/db.h"\n' 'fleet must not include db/db.h'
rm db/db.h
bad includes api/bad.c '#include <sqlite3.h>\n' '<sqlite3.h> belongs to'
bad includes server/bad.c '  #  include <openssl/evp.h>\n' '<openssl/evp.h> belongs to'
bad headers common/bad.h '#ifndef X\n#define X\n#endif\n' 'opens without a sentence'
bad headers common/bad.h '/* A header with a guard of its own. */\n#ifndef X\n#define X\n#endif\n' 'PAWL_COMMON_BAD_H'
bad sizes cli/bad.c "$(yes '/* */' | head -n 601 | sed 's/$/\\n/' | tr -d '\n')" 'cli/bad.c: 60'
body=$(yes '    if (x) {\n    }\n' | head -n 40 | tr -d '\n')
bad sizes cli/bad.c "static struct reply *const\nlong_name(int a,\n          int b) {\n$body}\n" 'long_name() has 8'
bad calls agent/bad.c 'int f(void) {\n    return sprintf (a, b);\n}\n' 'agent/bad.c:2: sprintf()'
bad calls agent/bad.c 'long f(void) {\n    return time(0);\n}\n' 'agent/bad.c:2: time()'
bad sql api/bad.c 'const char *s = "SELECT id FROM device";\n' '"SELECT in a C string'
bad sql api/bad.c 'const char *s = "BEGIN IMMEDIATE";\n' '"BEGIN in a C string'
bad sql db/sqlite_bad.c 'const char *s = "INSERT INTO device VALUES (1)";\n' '"INSERT INTO in a C string'
bad plans db/queries/bad.sql '-- name: cat_other\nSELECT id FROM cat WHERE id <> $1;\n' 'cat_other walks or sorts'
bad plans db/queries/bad.sql '-- name: cat_other\nSELECT name FROM cat WHERE name = $1 ORDER BY id + 1;\n' 'cat_other walks or sorts'
bad plans db/queries/bad.sql '-- name: cat_lost\nSELECT name FROM cat WHERE id = $1;\n' 'cat_lost is not used'
bad plans db/queries/bad.sql '-- name: cat_other\nSELECT name FROM cat WHERE id = $1 AND $2 IS NULL;\n' 'bare $1 IS NULL'
bad plans db/migrations/0002_bad.sql 'CREATE INDEX cat_idle ON cat (colour);\n' 'no statement uses the index cat_idle'
bad words cli/bad.c "/* TO""DO: later */\n" 'cli/bad.c:1'
bad scripts tools/bad.sh '#!/bin/sh\nif\n' 'tools/bad.sh'
bad scripts tools/bad.py '#!/usr/bin/python3\ndef\n' 'tools/bad.py'
if command -v cppcheck >/dev/null 2>&1; then
    good cppcheck
    bad cppcheck cli/bad.c 'int f(void) {\n    int x[2];\n    x[2] = 1;\n    return x[2];\n}\n' 'out of bounds'
fi
if clang-format --version 2>/dev/null | grep -q 'version 14'; then
    good format
    bad format cli/bad.c 'int  f(void){return 1;}\n' 'cli/bad.c:1'
fi

# Stand-ins for the two programs that the last checks ask.
printf '#!/bin/sh\ncase $1 in --dump-routes) cat build/rows ;; *) echo sample ;; esac\n' >build/pawld
printf '#!/bin/sh\necho sample\n' >build/pawl-agent
chmod +x build/pawld build/pawl-agent
echo sample >config/pawld.conf
echo sample >config/pawl-agent.conf
good samples
echo other >config/pawl-agent.conf
if run samples; then
    fail "samples overlooks an old sample"
fi
printf 'device,admin\tGET\t/a\tx\nadmin\tPUT\t/b\tx\n' >build/rows
printf 'paths:\n  /a:\n    parameters: []\n    get: {tags: [device, admin]}\n  /b:\n    put: {tags: [admin]}\n' >api/openapi.yaml
good routes
printf 'device\tGET\t/a\tx\nadmin\tPUT\t/b\tx\nadmin\tGET\t/c\tx\n' >build/rows
if run routes; then
    fail "routes overlooks a difference"
fi
grep -qF 'only in api/openapi.yaml: admin GET /a' "$output" || fail "routes does not name what the table lacks"
grep -qF 'only in the route table: admin GET /c' "$output" || fail "routes does not name what the contract lacks"

# Without its linter the contract's check fails and says what to do; it does not pass over.
if run openapi; then
    fail "openapi passes without its linter"
fi
grep -qF 'npm ci' "$output" || fail "openapi does not say how to get its linter"
