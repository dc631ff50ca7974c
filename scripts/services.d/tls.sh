# A certificate authority of our own and a server certificate for `localhost`, for this DIR only.
# shellcheck shell=bash disable=SC2154  # the caller sets dir

make_certificate() (
    [[ -s $dir/tls/server.pem ]] && return 0
    mkdir -p "$dir/tls"
    cd "$dir/tls" || return
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=flow-pipeline tests' -keyout ca.key -out ca.pem \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign || return
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr || return
    printf '%s\n' 'subjectAltName=DNS:localhost' 'extendedKeyUsage=serverAuth' 'basicConstraints=CA:FALSE' >server.ext
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 3650 -extfile server.ext -out server.pem
)
