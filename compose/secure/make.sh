#!/bin/sh
# Certificates and passwords to try out the secure variant with: an authority of its own, a certificate each for Kafka,
# Redis and Sluice, a password each for Kafka and Redis, and Redis' users.
#
#   compose/secure/make.sh [FOLDER]     into compose/secure/files, or FOLDER; what is there already is kept
#
# VALID_DAYS (30) is how long the certificates are good. For production take your own authority: README.md lists what each
# certificate must hold. The folder is closed to other users of this host; the files in it are readable, because containers
# read them as users of their own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/files}
days=${VALID_DAYS:-30}
command -v openssl >/dev/null || { echo "make.sh: no openssl here (Debian package openssl)" >&2; exit 69; }
umask 022
mkdir -p "$out"
chmod 700 "$out"
cd "$out"

if [ ! -e ca.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days "$days" -subj "/CN=Sluice trial authority" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout ca.key -out ca.crt 2>/dev/null
fi

# certificate NAME USAGE NAMES: NAME.crt and NAME.key, signed by the authority; and NAME.pem, both in one file for Kafka
certificate() {
    [ ! -e "$1.crt" ] || return 0
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days "$days" -extfile "$1.ext" -out "$1.crt" 2>/dev/null
    chmod 644 "$1.key"
    cat "$1.key" "$1.crt" >"$1.pem"
    rm "$1.csr" "$1.ext"
}
certificate kafka serverAuth,clientAuth DNS:kafka,DNS:localhost,IP:127.0.0.1
certificate redis serverAuth DNS:redis,DNS:localhost,IP:127.0.0.1
certificate sluice clientAuth DNS:sluice

for who in kafka_password admin_password redis_password; do
    [ -e $who ] || openssl rand -hex 24 >$who
done

# Redis keeps a hash; Kafka's server must know the passwords themselves.
hash=$(printf %s "$(cat redis_password)" | openssl dgst -sha256 -r | cut -d' ' -f1)
sed "s/SHA256_OF_THE_PASSWORD/$hash/" "$here/redis-users.acl" >redis-users.acl
cat >kafka-jaas.conf <<END
KafkaServer {
  org.apache.kafka.common.security.plain.PlainLoginModule required
  username="admin" password="$(cat admin_password)"
  user_admin="$(cat admin_password)"
  user_sluice="$(cat kafka_password)";
};
END
# for Kafka's own tools, as the administrator, in a container of secure.yaml
cat >admin.properties <<END
security.protocol=SASL_SSL
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="$(cat admin_password)";
ssl.truststore.type=PEM
ssl.truststore.location=/run/secrets/ca
END
echo "made for $days days: $out"
