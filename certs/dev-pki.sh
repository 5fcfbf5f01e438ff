#!/bin/sh
# Makes a development PKI with openssl alone: device CA, server CA, administrators' CA, a server certificate and device certificates.
# Run again it makes only what is missing. For production bring your own CAs: certs/README.md.
set -eu

usage() {
    cat <<'TEXT'
Usage: dev-pki.sh DIR [--server-name NAME]... [--device ID]... [--admin NAME]... [--days N] [fault]

Makes in DIR, where it is missing:
  device-ca.pem  device-ca.key    signs device certificates
  server-ca.pem  server-ca.key    signs the server's certificate; devices and `pawl` pin server-ca.pem
  admin-ca.pem   admin-ca.key     signs administrators' certificates
  server.pem     server.key       SAN localhost, 127.0.0.1, ::1 and every --server-name (a name or an address)
  devices/ID.pem devices/ID.key   one SAN URI urn:pawl:device:ID, clientAuth, CA:FALSE
  admins/NAME.pem admins/NAME.key one SAN URI urn:pawl:admin:NAME, clientAuth, CA:FALSE

Options:
  --server-name NAME  one more DNS name or IP address of the server; the certificate is made again when it lacks one
  --device ID         a device certificate; ID is [A-Za-z0-9._:-]{1,64}
  --admin NAME        an administrator's certificate
  --days N            life of the device and administrator certificates made now (default 90)
  --help              this text

Faults, for tests. Each turns the --device certificates of this run into bad ones with the same key as the good one, named
devices/ID.FAULT.pem (two faults: devices/ID.FAULT.FAULT.pem, in the order given):
  --expired           valid in the year 2020 only
  --eku server        extended key usage serverAuth instead of clientAuth
  --ca-true           CA:TRUE
  --no-san            no subject alternative name
  --two-san           a second SAN URI, urn:pawl:device:ID-2
  --foreign           signed by foreign-ca.pem, which no server trusts
  --new-key           nothing wrong but a key of its own (devices/ID.new-key.key): a second certificate of one device
TEXT
}

fail() {
    echo "dev-pki: $*" >&2
    exit "${code:-1}"
}
bad_usage() {
    code=2
    fail "$* (--help explains)"
}

check_id() { # WHAT ID
    case $2 in
    '' | . | .. | *[!A-Za-z0-9._:-]*) bad_usage "$1 '$2' is not [A-Za-z0-9._:-]{1,64}" ;;
    esac
    [ ${#2} -le 64 ] || bad_usage "$1 '$2' is longer than 64 characters"
}

make_key() { # FILE
    [ -s "$1" ] && return
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new" 2>"$work/log" || fail "$1: $(cat "$work/log")"
    chmod 0400 "$1.new"
    mv "$1.new" "$1"
}

make_ca() { # NAME SUBJECT
    make_key "$1.key"
    [ -s "$1.pem" ] && return
    cat >"$work/ca.cnf" <<TEXT
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
O = Pawl development
CN = $2
[extensions]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
TEXT
    openssl req -x509 -new -config "$work/ca.cnf" -key "$1.key" -sha256 -days 3650 -out "$1.pem.new" 2>"$work/log" ||
        fail "$1.pem: $(cat "$work/log")"
    chmod 0644 "$1.pem.new"
    mv "$1.pem.new" "$1.pem"
}

# Signs a certificate for KEY with the extensions in $work/extensions.
sign() { # CA KEY COMMON-NAME DAYS OUT
    openssl req -new -config "$work/empty.cnf" -key "$2" -subj "/CN=$3" -out "$work/request" 2>"$work/log" || fail "$5: $(cat "$work/log")"
    if [ "$4" = expired ]; then
        : >"$work/index"
        echo "01$(openssl rand -hex 15)" >"$work/serial"
        cat >"$work/expired.cnf" <<TEXT
[ca]
default_ca = this
[this]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
TEXT
        openssl ca -batch -notext -config "$work/expired.cnf" -cert "$1.pem" -keyfile "$1.key" -in "$work/request" -extfile "$work/extensions" \
            -startdate 20200101000000Z -enddate 20201231235959Z -out "$5.new" 2>"$work/log" || fail "$5: $(cat "$work/log")"
    else
        openssl x509 -req -in "$work/request" -CA "$1.pem" -CAkey "$1.key" -set_serial "0x01$(openssl rand -hex 15)" -sha256 -days "$4" \
            -extfile "$work/extensions" -out "$5.new" 2>"$work/log" || fail "$5: $(cat "$work/log")"
    fi
    chmod 0644 "$5.new"
    mv "$5.new" "$5"
}

leaf_extensions() { # CA:TRUE|CA:FALSE EKU SAN
    usage_bits=digitalSignature
    [ "$1" = CA:TRUE ] && usage_bits=digitalSignature,keyCertSign
    cat >"$work/extensions" <<TEXT
basicConstraints = critical,$1
keyUsage = critical,$usage_bits
extendedKeyUsage = $2
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
TEXT
    [ -z "$3" ] || echo "subjectAltName = $3" >>"$work/extensions"
}

# A certificate that is there and lives one more day is left alone.
still_good() { [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend 86400 >/dev/null 2>&1; }

san_of() { # NAME -> IP:NAME or DNS:NAME
    case $1 in
    *:*) echo "IP:$1" ;;
    *[!0-9.]*) echo "DNS:$1" ;;
    *) echo "IP:$1" ;;
    esac
}

server_lacks() { # NAME
    case $(san_of "$1") in
    IP:*) ! openssl x509 -in server.pem -noout -checkip "$1" | grep -q 'does match' ;;
    *) ! openssl x509 -in server.pem -noout -checkhost "$1" | grep -q 'does match' ;;
    esac
}

make_server() {
    make_key server.key
    sans='DNS:localhost,IP:127.0.0.1,IP:::1'
    missing=yes
    if still_good server.pem; then
        sans=$(openssl x509 -in server.pem -noout -ext subjectAltName | sed -n 's/IP Address:/IP:/g; s/, */,/g; s/^ *\(DNS:.*\)/\1/p')
        missing=no
    fi
    for name in $server_names; do
        if [ $missing = yes ] || server_lacks "$name"; then
            sans="$sans,$(san_of "$name")"
            missing=yes
        fi
    done
    [ $missing = yes ] || return 0
    leaf_extensions CA:FALSE serverAuth "$sans"
    sign server-ca server.key localhost 825 server.pem
}

make_device() { # ID
    key=devices/$1.key
    san=URI:urn:pawl:device:$1
    eku=clientAuth ca=CA:FALSE issuer=device-ca life=$days suffix=''
    for fault in $faults; do
        suffix=$suffix.$fault
        case $fault in
        expired) life=expired ;;
        eku-server) eku=serverAuth ;;
        ca-true) ca=CA:TRUE ;;
        no-san) san='' ;;
        two-san) san="$san,URI:urn:pawl:device:$1-2" ;;
        foreign) issuer=foreign-ca ;;
        new-key) key=devices/$1.new-key.key ;;
        esac
    done
    [ $issuer = device-ca ] || make_ca foreign-ca 'Pawl foreign CA (trusted by nobody)'
    make_key "$key"
    cert=devices/$1$suffix.pem
    if [ "$life" = expired ]; then [ ! -s "$cert" ] || return 0; else ! still_good "$cert" || return 0; fi
    leaf_extensions $ca $eku "$san"
    sign $issuer "$key" "$1" "$life" "$cert"
}

make_admin() { # NAME
    make_key "admins/$1.key"
    ! still_good "admins/$1.pem" || return 0
    leaf_extensions CA:FALSE clientAuth "URI:urn:pawl:admin:$1"
    sign admin-ca "admins/$1.key" "$1" "$days" "admins/$1.pem"
}

dir='' devices='' admins='' server_names='' faults='' days=90
while [ $# -gt 0 ]; do
    case $1 in
    --help)
        usage
        exit 0
        ;;
    --device | --admin | --server-name | --days | --eku) [ $# -ge 2 ] || bad_usage "$1 needs a value" ;;
    esac
    case $1 in
    --device)
        check_id device "$2"
        devices="$devices $2"
        shift
        ;;
    --admin)
        check_id administrator "$2"
        admins="$admins $2"
        shift
        ;;
    --server-name)
        case $2 in '' | *[!A-Za-z0-9.:*-]*) bad_usage "server name '$2' is neither a DNS name nor an address" ;; esac
        server_names="$server_names $2"
        shift
        ;;
    --days)
        case $2 in '' | *[!0-9]*) bad_usage "--days '$2' is not a number" ;; esac
        days=$2
        shift
        ;;
    --eku)
        [ "$2" = server ] || bad_usage "--eku takes only 'server'"
        faults="$faults eku-server"
        shift
        ;;
    --expired | --ca-true | --no-san | --two-san | --foreign | --new-key) faults="$faults ${1#--}" ;;
    -*) bad_usage "unknown option '$1'" ;;
    *)
        [ -z "$dir" ] || bad_usage "one DIR only, not '$dir' and '$1'"
        dir=$1
        ;;
    esac
    shift
done
[ -n "$dir" ] || bad_usage "DIR is missing"
[ -z "$faults" ] || [ -n "$devices" ] || bad_usage "a fault needs a --device"
command -v openssl >/dev/null || fail "openssl is not installed"

set -f # '*' in a server name is no file pattern
umask 077
mkdir -p -- "$dir"
cd -- "$dir"
work=$(mktemp -d "${TMPDIR:-/tmp}/dev-pki.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
printf '[req]\ndistinguished_name = name\n[name]\n' >"$work/empty.cnf"

mkdir -p devices admins
make_ca device-ca 'Pawl device CA'
make_ca server-ca 'Pawl server CA'
make_ca admin-ca 'Pawl administrators CA'
make_server
for id in $devices; do make_device "$id"; done
for name in $admins; do make_admin "$name"; done
