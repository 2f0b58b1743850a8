/**
 * The cursors that a processing fence relies on, changed from outside while their member is idle.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { closeSync, openSync, readFileSync, writeSync } from "node:fs"
import { Messenger } from "../../src/services/Messenger.ts"
import type { RingReaderState } from "../../src/services/Ring.ts"
import { nativeSwarms } from "../backends/native/swarm.ts"
import { enterAll, joinAs, swarmIn } from "../backends/swarm.ts"

const Tick = Messenger.event("tick", Schema.Int)

const lineBytes = 64
const readAt = 16
const handledAt = 32

/** The offset of the line with a reader's cursors, by docs/memory-layout.md. */
const lineOf = (region: Buffer, { baseline, delivered, handled, read, released }: RingReaderState): number => {
  const cursors = [read, delivered, handled, released, baseline].map(BigInt)
  for (let at = 0; at < region.length; at += lineBytes) {
    if (cursors.every((cursor, i) => region.readBigUInt64LE(at + readAt + 8 * i) === cursor)) return at
  }
  throw new Error("no line says so")
}

const change = (path: string, at: number): void => {
  const file = openSync(path, "r+")
  writeSync(file, Uint8Array.of(0xff), 0, 1, at)
  closeSync(file)
}

describe.skipIf(process.platform !== "linux")("damaged cursors under a fence (native)", () => {
  it.live("an idle member writes them again, and the fence is satisfied long before its deadline", () =>
    swarmIn(nativeSwarms, {}, (swarm) =>
      Effect.gen(function*() {
        const process = yield* swarm.attach("m0")
        const first = yield* joinAs(process, "m0", { coordinate: true })
        // Send some, so that no other reader has the same baseline as the second.
        for (let i = 0; i < 5; i += 1) yield* first.messenger.send(Tick, i)
        const second = yield* swarm.join("m1")
        yield* first.coordinator.awaitMembers(({ length }) => length === 2)
        for (let i = 0; i < 7; i += 1) yield* first.messenger.send(Tick, i)
        yield* enterAll([first, second], "before", { mode: "processingFence" })
        const { ring } = first.swarmMember.mesh.target()
        const reader = first.ring.readers(ring).find(({ process }) => process === second.id.slot)
        assert.isDefined(reader)
        const { path } = process.memory.info
        change(path, lineOf(readFileSync(path), reader!) + handledAt)
        assert.strictEqual(first.ring.readers(ring).find(({ process }) => process === second.id.slot)?.handled, 0)
        const began = performance.now()
        const results = yield* enterAll([first, second], "after", { mode: "processingFence", deadline: "15 seconds" })
        assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Satisfied", "Satisfied"])
        assert.isBelow(performance.now() - began, 10_000)
      })))
})
