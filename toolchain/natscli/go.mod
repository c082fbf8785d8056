module noetl-nats/toolchain/natscli

go 1.24

require github.com/nats-io/natscli v0.5.0
