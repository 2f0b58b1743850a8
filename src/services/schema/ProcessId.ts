/**
 * A process by its pid, which is valid only in its own pid namespace: pid 1 of a container is another process outside.
 */
import * as Schema from "effect/Schema"

export const ProcessId = Schema.Struct({
  pid: Schema.Number,
  /** The pid belongs to another pid namespace. In this process's namespace it names another process, or none. */
  foreignPid: Schema.optionalKey(Schema.Literal(true))
})
export type ProcessId = typeof ProcessId.Type

/** A process with the name under which it attached. */
export const NamedProcess = Schema.Struct({ name: Schema.String, ...ProcessId.fields })
export type NamedProcess = typeof NamedProcess.Type

/** Picks the pid and its namespace from a value with more fields. */
export const processIdOf = ({ foreignPid, pid }: ProcessId): ProcessId =>
  foreignPid === true ? { pid, foreignPid } : { pid }

/** The process as error texts show it. A foreign pid is marked, because `kill` would reach another process. */
export const showPid = ({ foreignPid, pid }: ProcessId): string =>
  foreignPid === true ? `pid ${pid} of another pid namespace` : `pid ${pid}`

/** What to do about a process that may be stopped. A pid of another namespace names another process here: no signal then. */
export const continueOrEnd = ({ foreignPid, pid }: ProcessId): string =>
  foreignPid === true
    ? "continue that process, if it is stopped, or end it"
    : `\`kill -CONT ${pid}\` continues it, if it is stopped; or end it`

/** `"audit" (pid 4711)`, or only the pid when the name is lost. */
export const showProcess = (named: NamedProcess): string =>
  named.name === "" ? showPid(named) : `${JSON.stringify(named.name)} (${showPid(named)})`
