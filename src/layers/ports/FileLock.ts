/**
 * The port of the lock that makes a process the only writer of a directory of files.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { DiskError } from "./Disk.ts"

/** Another holder has the lock, in this process or another. `pid` is missing when the holder has not said its own yet. */
export class FileLockBusy extends Schema.TaggedError<FileLockBusy>()("FileLockBusy", {
  path: Schema.String,
  pid: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    const holder = this.pid === undefined ? "another process" : `pid ${this.pid}`
    return `${holder} holds the lock ${this.path} (end that process, or wait for its end)`
  }
}

export interface FileLock {
  /**
   * Takes the exclusive lock of the file, which is created if it is missing and never removed. Does not wait. The lock
   * ends with the scope, and with the process, from whatever cause.
   */
  readonly lock: (path: string) => Effect.Effect<void, FileLockBusy | DiskError, Scope.Scope>
}
