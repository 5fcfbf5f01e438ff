#!/bin/sh
# tools/gensql: what it writes compiles and holds the statements; what it must refuse.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAIL: $*" >&2
    exit 1
}
generate() {
    sh "$root/tools/gensql" "$work/db" "$work/db/sql.h" "$work/db/sql.c" 2>"$work/message"
}
refuse() { # what the message must hold
    if generate; then
        fail "accepted: $1"
    fi
    grep -q "$1" "$work/message" || fail "expected '$1', got: $(cat "$work/message")"
}

mkdir -p "$work/db/queries" "$work/db/migrations"
cat >"$work/db/queries/a.sql" <<'END'
-- name: thing_get
-- Comment; with a semicolon.
SELECT "a\b" -- a remark
  FROM thing
 WHERE id = $1;

-- name: thing_list
SELECT 1;
END
printf 'CREATE TABLE thing (id TEXT);\nCREATE TABLE other (id TEXT);\n' >"$work/db/migrations/0001_initial.sql"
printf 'DROP TABLE other;\n' >"$work/db/migrations/0002_less.sql"
generate || fail "$(cat "$work/message")"

cat >"$work/main.c" <<'END'
#include <stdio.h>
#include "db/sql.h"
int main(void) {
    printf("%d %d %d\n", DB_QUERY_THING_GET, DB_QUERY_THING_LIST, DB_QUERY_COUNT);
    printf("%s %s", db_query_name[DB_QUERY_THING_GET], db_query_sql[DB_QUERY_THING_GET]);
    printf("%zu %d %s %s", db_migration_count, db_migrations[1].number, db_migrations[1].name, db_migrations[1].sql);
    printf("%s", db_migrations[0].sql);
    return 0;
}
END
cc -I "$work" -o "$work/program" "$work/main.c" "$work/db/sql.c"
"$work/program" >"$work/got"
cat >"$work/expected" <<'END'
0 1 2
thing_get SELECT "a\b" -- a remark
  FROM thing
 WHERE id = $1
2 2 less DROP TABLE other;
CREATE TABLE thing (id TEXT);
CREATE TABLE other (id TEXT);
END
diff -u "$work/expected" "$work/got"

printf -- '-- name: thing_get\nSELECT 2;\n' >"$work/db/queries/b.sql"
refuse 'query "thing_get" stands already in .*a.sql:1'
printf -- '-- name: open\nSELECT 2\n' >"$work/db/queries/b.sql"
refuse 'b.sql:2: query "open" does not end'
printf -- '-- name: open\nSELECT 2\n-- name: next\nSELECT 3;\n' >"$work/db/queries/b.sql"
refuse 'b.sql:3: query "open" does not end'
printf -- 'SELECT 2;\n' >"$work/db/queries/b.sql"
refuse 'b.sql:1: statement outside'
printf -- '-- name: two words\nSELECT 2;\n' >"$work/db/queries/b.sql"
refuse 'b.sql:1: a block opens with'
rm "$work/db/queries/b.sql"
mv "$work/db/migrations/0002_less.sql" "$work/db/migrations/0003_less.sql"
refuse 'migration number 3 where 2 is expected'
mv "$work/db/migrations/0003_less.sql" "$work/db/migrations/less.sql"
refuse 'less.sql: a migration is named'
