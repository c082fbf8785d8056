module noetl-nats/toolchain/nats-server-2.9

go 1.26.0

require github.com/nats-io/nats-server/v2 v2.9.10
