import { isAtLeast, type ServerVersion, SYNC_ALWAYS_SINCE } from './version.ts';

/** The largest event the embedded server takes: a commit bundle of 8 MiB with its envelope and headers. */
const EMBEDDED_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024 + 512 * 1024;

export interface ServerConfig {
  readonly version: ServerVersion;
  readonly token: string;
  readonly storeFolder: string;
  readonly portsFolder: string;
  /** 0 lets the server choose a free one. */
  readonly port: number;
  readonly maxStoreBytes: number;
  /** Acknowledge before syncing: for whoever syncs the whole store afterwards. */
  readonly lazySync?: boolean;
}

/** The configuration file of an embedded server. Holds the token, so the file has to be readable by its owner only. */
export function serverConfig(config: ServerConfig): string {
  const sync =
    config.lazySync !== true && isAtLeast(config.version, SYNC_ALWAYS_SINCE) ? '  sync_interval: always\n' : '';
  return `listen: "127.0.0.1:${config.port === 0 ? -1 : config.port}"
server_name: "mlsd"
ports_file_dir: ${JSON.stringify(config.portsFolder)}
max_payload: ${EMBEDDED_MAX_PAYLOAD_BYTES}
lame_duck_duration: "30s"
authorization { token: ${JSON.stringify(config.token)} }
jetstream {
  store_dir: ${JSON.stringify(config.storeFolder)}
  max_mem: 256MB
  max_file: ${config.maxStoreBytes}
${sync}}
`;
}
