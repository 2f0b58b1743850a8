/**
 * How long clients wait for a process that continues the log of a dead server, and the line that says so.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import { readOptions } from "../../services/input/OptionInvalid.ts"
import { continueOrEnd, type NamedProcess, showPid } from "../../services/schema/ProcessId.ts"
import type { RegionError } from "../../services/schema/RegionError.ts"
import { unfinished } from "../../services/schema/Server.ts"
import { formatMillis } from "../../services/text/quantities.ts"

export interface ClientOptions {
  /**
   * How long the client waits, once it has noticed that the log's server is dead, for another process to continue the
   * log: a standby, or the next server of the region. Meanwhile what waits goes on waiting, and one log line says so;
   * then it fails with `RegionLost`. Default 10 seconds; 0 fails at once.
   */
  readonly serverDeadline?: Duration.Input | undefined
}

export const defaultServerMillis = 10_000

/** A takeover that lasts no longer is not worth a line. */
export const quietMillis = 500

export const serverMillisOf = (region: string, { serverDeadline }: ClientOptions): Effect.Effect<number, RegionError> =>
  readOptions(region, () => millisOf("serverDeadline", serverDeadline ?? defaultServerMillis))

/** `server`: the process that served it last, if it is known. `successor`: one that has begun to continue the log. */
export const awaitingServerLine = (
  region: string,
  server: NamedProcess | undefined,
  deadlineMillis: number,
  successor?: NamedProcess
): string => {
  const who = server === undefined ? "" : ` (${showPid(server)}, "${server.name}")`
  const gone = `region "${region}": the process that served the log${who} is gone`
  const most = formatMillis(deadlineMillis)
  return successor === undefined
    ? `${gone}; waiting at most ${most} for another that continues it: a standby, or the next \`ringfence serve\``
    : `${gone}, and ${unfinished(successor)}; waiting at most ${most} for it: ${continueOrEnd(successor)}`
}
