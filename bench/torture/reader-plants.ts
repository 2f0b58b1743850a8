/**
 * Faults of a reader that may be lapped, planted below the code that tells its gaps.
 *
 *     Subscriber ─► LappedReader ─► this module ─► NativeUngatedPort
 */
import { NativeIndexPort, NativeUngatedPort } from "../../src/layers/native/log/IndexPort.ts"
import type { IndexedBatch } from "../../src/services/Subscriber.ts"
import type { ReaderPlant } from "./jobs.ts"

export const plantBelow = (plant: ReaderPlant): void => plants[plant]()

// --- internal ---

/** So many polls bring batches until one more is kept from the reader. */
const pollsMost = 20

/** What both ports have alike, and only one of them copies. */
interface Filling {
  fill: unknown
  bufferOf: unknown
}

const plants: Readonly<Record<ReaderPlant, () => void>> = {
  // The reader is lent what lies in memory, as one that gates, and does not look behind that whether the log kept it.
  unproven: () => {
    const { bufferOf, fill } = NativeIndexPort.prototype as unknown as Filling
    Object.assign(NativeUngatedPort.prototype, { bufferOf, fill })
  },
  // It goes on behind a batch that memory has: a gap that is none.
  kept: () => {
    const { poll } = NativeIndexPort.prototype
    let polls = 0
    NativeUngatedPort.prototype.poll = function(max: number): ReadonlyArray<IndexedBatch> {
      const batches = poll.call(this, max)
      if (batches.length > 1) polls += 1
      return batches.length > 1 && polls % pollsMost === 0 ? batches.slice(1) : batches
    }
  }
}
