/**
 * What a replica tells of cursors that it has stored, step by step.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { CursorStore } from "../../src/layers/files/replica/CursorStore.ts"
import type { TopicFiles } from "../../src/layers/files/ReplicaFiles.ts"
import type { CursorLook } from "../../src/layers/ports/CursorPort.ts"
import type { StoredCursor } from "../../src/layers/ports/ReplicatedLog.ts"

const lookAt = (stamp: number, change: string, isWanted: boolean): CursorLook => ({
  stamp,
  isDamaged: false,
  cursors: [
    { name: "billing", position: 7, holder: undefined, touchedMillis: 0, expiresMillis: 1e9, isWanted, change }
  ]
})

const storing = () => {
  let stored: ReadonlyArray<StoredCursor> = []
  let writes = 0
  const files = {
    synced: () => ({ index: 1, position: 7 }),
    cursors: () => stored,
    setCursors: (cursors: ReadonlyArray<StoredCursor>) =>
      Effect.sync(() => {
        stored = cursors
        writes += 1
      })
  }
  const store = new CursorStore(files as unknown as TopicFiles)
  const told: Array<number> = []
  return {
    told,
    writes: () => writes,
    look: (look: CursorLook, nowMillis: number) =>
      Effect.runSync(store.store(look, (stamp) => told.push(stamp), { isLast: false, nowMillis }))
  }
}

describe("the store of cursors", () => {
  it("tells again what has not changed while a holder waits: a look may see a commit ahead of its holder's time", () => {
    const { look, told, writes } = storing()
    // The look was begun at 10 and saw the commit; the holder takes 11, and waits for a stamp above it.
    look(lookAt(10, "0:1:1", true), 1000)
    look(lookAt(20, "0:1:1", true), 1100)
    assert.deepStrictEqual(told, [10, 20])
    assert.strictEqual(writes(), 1)
  })

  it("tells once where no holder waits", () => {
    const { look, told } = storing()
    look(lookAt(10, "0:1:1", false), 1000)
    look(lookAt(20, "0:1:1", false), 1100)
    assert.deepStrictEqual(told, [10])
  })
})
