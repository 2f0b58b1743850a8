/**
 * The process that serves a log, and how an error names it.
 */
import * as Schema from "effect/Schema"
import { continueOrEnd, NamedProcess, ProcessId, showPid, showProcess } from "./ProcessId.ts"

export const Server = Schema.Struct({
  ...ProcessId.fields,
  /** False until it serves; until then, this is the process that created the region. */
  serving: Schema.Boolean,
  name: Schema.String,
  /** True in that process itself. */
  own: Schema.Boolean,
  /** The process is dead, and no other has continued its log yet. */
  gone: Schema.optionalKey(Schema.Literal(true)),
  /** The process that has begun to continue the log of one that is gone, and has not finished. */
  successor: Schema.optionalKey(NamedProcess)
})
export type Server = typeof Server.Type

/** Of the process that has begun to continue a log. */
export const unfinished = (successor: NamedProcess): string =>
  `${showProcess(successor)}, which continues its log, has not finished`

/** Why an attached server does not answer, and the user's next step. */
export const unanswered = (server: Server | undefined): { readonly detail: string; readonly hint: string } => {
  if (server?.own === true) {
    return {
      detail: "the sequencer, which runs in this process, makes no progress",
      hint: "resume it if it is paused, or call `step` under drive \"manual\""
    }
  }
  const who = server === undefined ? "" : ` (${showPid(server)}, "${server.name}")`
  if (server?.successor !== undefined) {
    return {
      detail: `the process that served the log${who} is gone, and ${unfinished(server.successor)}`,
      hint: continueOrEnd(server.successor)
    }
  }
  if (server?.gone === true) {
    return {
      detail: `the process that served the log${who} is gone, and no other has continued it yet`,
      hint: "start a server or a standby of the region: it continues the log"
    }
  }
  // A pid of another namespace names another process here: do not suggest a signal.
  const go = server === undefined || server.foreignPid === true
    ? "continue it, or end it"
    : `\`kill -CONT ${server.pid}\` continues it; or end it`
  return server?.serving === false
    ? { detail: `the process that created the region${who} is attached but does not serve its log yet`, hint: go }
    : { detail: `the serving process${who} is attached but does not answer: it is stopped or too busy`, hint: go }
}
