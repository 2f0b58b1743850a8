/**
 * How long a command waits for a process that continues a log without a server.
 */
import { defaultServerMillis } from "../../layers/log/serverDeadline.ts"
import { setting } from "./settings.ts"
import { millisFlag, writtenMillis } from "./units.ts"

export const serverDeadlineSetting = setting("server-deadline", millisFlag, {
  description: "How long to wait, once the log's server is dead, for a standby or a next server; 0ms ends at once",
  fallback: defaultServerMillis,
  show: writtenMillis
})
