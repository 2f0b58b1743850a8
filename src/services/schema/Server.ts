/**
 * The process that serves a log, in the words of those who wait for it.
 */

import { type ProcessId, showPid } from "./ProcessId.ts"

export interface Server extends ProcessId {
  /** False before it serves: then it is the process that created the region. */
  readonly serving: boolean
  readonly name: string
  /** True in that process itself. */
  readonly own: boolean
}

/** What is to be said of a server that is attached and does not do what is waited for, and what can be done about it. */
export const unanswered = (server: Server | undefined): { readonly detail: string; readonly hint: string } => {
  if (server?.own === true) {
    return {
      detail: "the sequencer, which this process runs itself, does not go on",
      hint: "it is paused, or waits to be stepped"
    }
  }
  const who = server === undefined ? "" : ` (${showPid(server)}, "${server.name}")`
  // A number of another pid namespace is another process's here.
  const go = server === undefined || server.foreignPid === true
    ? "let it go on, or end it"
    : `\`kill -CONT ${server.pid}\` lets it go on, or end it`
  return server?.serving === false
    ? { detail: `the process that created the region${who} is attached but does not serve its log yet`, hint: go }
    : { detail: `the serving process${who} is attached but does not answer: it is stopped or too busy`, hint: go }
}
