/**
 * A process by its number, which means something in its own pid namespace only: in a container it is often 1, and
 * outside of it that is another process.
 */
import * as Schema from "effect/Schema"

export const ProcessId = Schema.Struct({
  pid: Schema.Number,
  /** The number counts in another pid namespace than this process's. Here it names another process, or none. */
  foreignPid: Schema.optionalKey(Schema.Literal(true))
})
export type ProcessId = typeof ProcessId.Type

/** The process's number and the namespace in which it counts, out of a value that has more fields. */
export const processIdOf = ({ foreignPid, pid }: ProcessId): ProcessId =>
  foreignPid === true ? { pid, foreignPid } : { pid }

/** The process as messages show it, with the warning where `kill` would reach another process. */
export const showPid = ({ foreignPid, pid }: ProcessId): string =>
  foreignPid === true ? `pid ${pid} of another pid namespace` : `pid ${pid}`
