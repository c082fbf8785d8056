module noetl-nats/toolchain/nats-server-2.10

go 1.26.0

require github.com/nats-io/nats-server/v2 v2.10.27
