/**
 * The port of a file system, with just the operations whose outcome after a crash is known: {@link DiskFile.sync} makes
 * the bytes of a file durable, {@link Disk.syncDirectory} the names in a directory, and nothing else makes anything
 * durable. The real disk implements it, and a simulated one that crashes.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** The operations of a disk, as errors name them. */
export const DiskOperation = Schema.Literals([
  "open",
  "read",
  "write",
  "sync",
  "truncate",
  "size",
  "rename",
  "remove",
  "list",
  "make directory",
  "sync directory",
  "lock"
])
export type DiskOperation = typeof DiskOperation.Type

/** The disk refused an operation. `code` is the system's: `ENOSPC`, `EIO`, `EACCES`, `ENOENT` and so on. */
export class DiskError extends Schema.TaggedError<DiskError>()("DiskError", {
  op: DiskOperation,
  path: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    const hint = this.op === "make directory" && this.code === "ENOENT" ? noParent : hints[this.code]
    return `cannot ${this.op} ${this.path}: ${this.code}${hint === undefined ? "" : ` (${hint})`}`
  }
}

export interface DiskFile {
  readonly path: string
  readonly size: Effect.Effect<number, DiskError>
  /** Fills `into` from the place `at` of the file; returns the bytes read, fewer only at the end of the file. */
  readonly read: (at: number, into: Uint8Array) => Effect.Effect<number, DiskError>
  /**
   * Writes the parts one behind the other, beginning at the place `at`. Not to be interrupted: the parts are in use until
   * it returns. After a failure any of the bytes may be written.
   */
  readonly write: (at: number, parts: ReadonlyArray<Uint8Array>) => Effect.Effect<void, DiskError>
  /**
   * Makes the file's bytes and its length durable. After a failure nothing is known of any byte written since the last
   * success, even when a later call succeeds: the system may have dropped what it could not write.
   */
  readonly sync: Effect.Effect<void, DiskError>
  readonly truncate: (size: number) => Effect.Effect<void, DiskError>
}

/** `read` an existing file, `write` an existing file, or `create` an empty one, in place of what has the name. */
export type OpenMode = "read" | "write" | "create"

export interface Disk {
  /** A file that is closed with the scope. */
  readonly open: (path: string, mode: OpenMode) => Effect.Effect<DiskFile, DiskError, Scope.Scope>
  /** Names in the directory, in no order. */
  readonly list: (path: string) => Effect.Effect<ReadonlyArray<string>, DiskError>
  /** Creates one directory; its parent must exist. Does nothing when it exists. */
  readonly makeDirectory: (path: string) => Effect.Effect<void, DiskError>
  /** Gives the file another name, in place of what has that name. */
  readonly rename: (from: string, to: string) => Effect.Effect<void, DiskError>
  readonly remove: (path: string) => Effect.Effect<void, DiskError>
  /** Makes the names in the directory durable, and their absence. */
  readonly syncDirectory: (path: string) => Effect.Effect<void, DiskError>
}

// --- internal ---

const noParent = "the directory above it is not there: create that one, or check the path"

const hints: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space; nothing was deleted",
  EDQUOT: "this user's share of the disk is used up: free some space; nothing was deleted",
  EIO: "the disk reports an error: look at the system's log, and replace the disk",
  EROFS: "the file system is mounted read-only",
  EACCES: "this user may not do that: look at the owner and mode of the directory",
  ENOENT: "it is not there",
  ENOTDIR: "a file is where a directory must be: name another directory, or move the file aside",
  EMFILE: "this process has too many open files: raise its limit"
}
