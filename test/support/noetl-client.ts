/** The environment in which modules of NoETL's server come to be; nothing of it is used. */
export const NOETL_SERVER_ENV = {
  ...{
    POSTGRES_HOST: "127.0.0.1",
    POSTGRES_PORT: "9",
    NOETL_USER: "noetl",
    NOETL_PASSWORD: "noetl",
    NOETL_SCHEMA: "noetl",
  },
  ...{ NOETL_SERVER_URL: "http://127.0.0.1:9", NOETL_HOST: "127.0.0.1", NOETL_PORT: "9", NOETL_SERVER_NAME: "noetl" },
  ...{ NOETL_ENABLE_UI: "false", NOETL_DEBUG: "false", NOETL_SERVER: "auto", NOETL_SERVER_WORKERS: "1" },
  ...{ NOETL_SERVER_RELOAD: "false", NOETL_AUTO_RECREATE_RUNTIME: "false", NOETL_HEARTBEAT_RETRY_AFTER: "3" },
  ...{ NOETL_RUNTIME_SWEEP_INTERVAL: "15", NOETL_RUNTIME_OFFLINE_SECONDS: "30", NOETL_DISABLE_METRICS: "true" },
  ...{ NOETL_SERVER_METRICS_INTERVAL: "60" },
};
