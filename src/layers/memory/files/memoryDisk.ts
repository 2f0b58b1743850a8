/**
 * A disk in this heap for replicas, with the locks of its directories.
 */
import type { ReplicaDisk } from "../../files/replica/ReplicaDisk.ts"
import { makeHeapFileLock } from "./HeapFileLock.ts"
import { SimulatedDisk } from "./SimulatedDisk.ts"

/** `random` decides what a loss of power leaves. */
export const memoryDisk = (random: () => number = () => 0): ReplicaDisk["Service"] => ({
  disk: new SimulatedDisk({ random }),
  lock: makeHeapFileLock()
})
