import { Gateway, NatsJetStream, Noetl, Postgres, StreamContract } from "noetl-nats";

const nats = new NatsJetStream("nats", { fileStoreSize: "10Gi", memoryStoreSize: "2Gi" });
const postgres = new Postgres("postgres");
const noetl = new Noetl("noetl", {
  nats,
  database: {
    host: postgres.host,
    port: postgres.port,
    database: postgres.database,
    user: postgres.noetlUser,
    password: postgres.noetlPassword,
    adminPassword: postgres.adminPassword,
  },
});
const gateway = new Gateway("gateway", {
  nats,
  corsAllowedOrigins: ["https://app.example.org"],
  noetlUrl: noetl.serverUrl,
});
new StreamContract(
  "contract",
  {
    connection: { namespace: nats.namespace },
    user: nats.user,
    password: nats.password,
    triggers: [nats.revision, noetl.revision, gateway.revision],
  },
  { dependsOn: [noetl, gateway] },
);

export const gatewayUrl = gateway.url;
