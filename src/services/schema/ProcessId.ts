/**
 * A process by its number, which means something in its own pid namespace only: in a container it is often 1, and
 * outside of it that is another process.
 */

export interface ProcessId {
  readonly pid: number
  /** The number counts in another pid namespace than this process's. Here it names another process, or none. */
  readonly foreignPid?: true
}

/** The number, and where it counts, of something that has both. */
export const processIdOf = ({ foreignPid, pid }: ProcessId): ProcessId =>
  foreignPid === true ? { pid, foreignPid } : { pid }

/** As it is shown to people, who may want to send it a signal. */
export const showPid = ({ foreignPid, pid }: ProcessId): string =>
  foreignPid === true ? `pid ${pid} of another pid namespace` : `pid ${pid}`
