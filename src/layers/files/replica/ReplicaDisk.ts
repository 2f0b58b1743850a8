/**
 * The disk on which replicas are written, and the lock of their directories.
 */
import * as Context from "effect/Context"
import type { Disk } from "../../ports/Disk.ts"
import type { FileLock } from "../../ports/FileLock.ts"

export class ReplicaDisk extends Context.Service<ReplicaDisk, {
  readonly disk: Disk
  readonly lock: FileLock
}>()("ringfence/layers/ReplicaDisk") {}
