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

/** A disk in place of this machine's, for tests that let it fail. */
export const GivenDisk: Context.Reference<ReplicaDisk["Service"] | undefined> = Context.Reference(
  "ringfence/layers/GivenDisk",
  { defaultValue: (): ReplicaDisk["Service"] | undefined => undefined }
)
