# A node of RabbitMQ for tests, with its own data, that can be killed and started again:
#
#     node.sh PROGRAM PORT NODES_PORT NAMES_PORT
#
# ($1 the server's program, $2 its port, $3 the port of the nodes among each other, $4 the port of their names). Reads `start`,
# `kill` and `log` from its standard input and answers each with lines that end in `done`; when its standard input closes, it ends
# the node and removes its files. EXTRA are more lines of its configuration, SERVER_CERTIFICATE, SERVER_KEY and CLIENT_AUTHORITY
# (PEM) the texts of files that those lines may name below @base@.
base=$(mktemp -d "${TMPDIR:-/tmp}/nephometer-rabbitmq.XXXXXX") || exit 1
cd "$base" || exit 1
export HOME="$base" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$4" RABBITMQ_CONF_ENV_FILE=/dev/null
export RABBITMQ_NODENAME="test$2@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$2"
export RABBITMQ_DIST_PORT="$3" RABBITMQ_BASE="$base" RABBITMQ_MNESIA_BASE="$base/data" RABBITMQ_LOG_BASE="$base/log"
export RABBITMQ_PID_FILE="$base/pid" RABBITMQ_ENABLED_PLUGINS_FILE="$base/plugins" RABBITMQ_CONFIG_FILE="$base/rabbitmq"
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +A 16"
printf '[].\n' >plugins
printf 'disk_free_limit.absolute = 10MB\nvm_memory_high_watermark.absolute = 1GB\n%s\n' "$EXTRA" >rabbitmq.conf
umask 077
printf '%s' "$SERVER_CERTIFICATE" >server.pem
printf '%s' "$SERVER_KEY" >server.key
printf '%s' "$CLIENT_AUTHORITY" >authority.pem
sed -i "s|@base@|$base|g" rabbitmq.conf
epmd -port "$4" -address 127.0.0.1 >/dev/null 2>&1 &
names=$!
server=
start() {
    rm -f pid
    "$1" >>server.log 2>&1 </dev/null &
    server=$!
}
end() {
    [ -s pid ] && kill -9 "$(cat pid)" 2>/dev/null
    [ -n "$server" ] && kill -9 "$server" 2>/dev/null && wait "$server" 2>/dev/null
    server=
}
finish() {
    end
    kill "$names" 2>/dev/null
    cd / && rm -rf "$base"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
while read -r order; do
    case $order in
    start) start "$1" ;;
    kill) end ;;
    log) tail -n 40 server.log ;;
    esac
    echo done
done
