/**
 * Records that number themselves and carry a checksum, independent of the session that they come from.
 */
import { assert } from "@effect/vitest"
import * as Topic from "../../src/services/schema/Topic.ts"
import type { IndexedBatch } from "../../src/services/Subscriber.ts"

const bytes = 64
const words = bytes / 4

const wordOf = (number: number, word: number): number => Math.imul(number + 1, 2_654_435_761 + 2 * word) >>> 0

const record = (number: number): Uint8Array => {
  const view = new Uint32Array(words)
  view[0] = number
  for (let word = 1; word < words; word += 1) view[word] = wordOf(number, word)
  return new Uint8Array(view.buffer)
}

/** Takes 0, 1, 2 … at positions 0, 1, 2 …, each whole. */
class Checker {
  records = 0

  batch(batch: IndexedBatch): void {
    assert.strictEqual(batch.position, this.records)
    assert.strictEqual(batch.payload.length, batch.messageCount * bytes)
    const view = new Uint32Array(batch.payload.slice().buffer)
    for (let i = 0; i < batch.messageCount; i += 1, this.records += 1) {
      assert.strictEqual(view[i * words], this.records)
      for (let word = 1; word < words; word += 1) {
        assert.strictEqual(view[i * words + word], wordOf(this.records, word), `record ${this.records}`)
      }
    }
  }
}

export const Numbers = { topic: Topic.make("numbers"), identity: "counter", record, Checker }
