// The last step of scripts/setup: finds a nats-server or gets one. The logic, with its tests, is in src/log/nats-server.
import { acquireNatsServer, durabilityWarning } from '../dist/log/nats-server/acquire.js';

try {
  const server = await acquireNatsServer({ onProgress: (line) => console.log(`setup: ${line}`) });
  const warning = durabilityWarning(server);
  if (warning !== undefined) console.warn(`setup: ${warning}`);
} catch (error) {
  console.error(`setup: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
