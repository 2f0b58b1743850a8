/**
 * Opens a replica's directory: to write it, under its lock, or to read it beside the process that does.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Disk } from "../ports/Disk.ts"
import type { FileLock } from "../ports/FileLock.ts"
import type { ReplicaMissing, ReplicaOpenError, ReplicaReadError } from "./ReplicaError.ts"
import type { ReplicaFiles, ReplicaFilesOptions, StoredFiles } from "./ReplicaFiles.ts"

/** Opens the directory for writing; it is created if it is missing, its parent must exist. Closed with the scope. */
export const openReplicaFiles = (
  _disk: Disk,
  _lock: FileLock,
  _dir: string,
  _options: ReplicaFilesOptions
): Effect.Effect<ReplicaFiles, ReplicaOpenError, Scope.Scope> => Effect.die("not written yet")

/** Opens the directory for reading, without its lock. What it reads is valid; the last batches may not be durable yet. */
export const readReplicaFiles = (
  _disk: Disk,
  _dir: string
): Effect.Effect<StoredFiles, ReplicaMissing | ReplicaReadError> => Effect.die("not written yet")
