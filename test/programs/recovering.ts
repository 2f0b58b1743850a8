/**
 * Stops a program in the midst of its takeover: a log with many kept batches takes it long enough to be caught.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { serverState } from "../../src/native/binding.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { untilStopped } from "../faults/stopped.ts"
import { type Program, serveWith } from "./harness.ts"

export const Kept = Topic.make("kept")

/** Some tenths of a second of recovery. */
export const keptBatches = 1 << 17

/** As many places, and as many again: nothing is trimmed. */
const sizes = [
  ["--brokers", "1"],
  ["--clients", "2"],
  ["--topics", "1"],
  ["--index-entries", String(2 * keptBatches)],
  ["--lane-slots", String(2 * keptBatches)],
  ["--lane-bytes", String(2 * 64 * keptBatches)],
  ["--batch-bytes", "4096"]
].flat()

/** The record of that number. */
export const recordOf = (number: number): Uint8Array => {
  const record = new Uint8Array(8)
  new DataView(record.buffer).setUint32(0, number)
  return record
}

export const numberOf = (record: Uint8Array): number => new DataView(record.buffer, record.byteOffset).getUint32(0)

/** Serves a log that keeps so many batches of one record each. */
export const serveKept = Effect.fnUntraced(function*(region: string) {
  const server = yield* serveWith(sizes, region, "--topic", Kept.name)
  yield* Effect.scoped(Effect.gen(function*() {
    const publisher = yield* Publisher.open(Kept)
    for (let number = 0; number < keptBatches; number += 1) {
      const record = recordOf(number)
      if (!publisher.offer(record)) yield* publisher.send(record)
      publisher.seal()
      if (number % 256 === 0) yield* Effect.yieldNow
    }
    yield* publisher.flush
  })).pipe(Effect.provide(clientOf(region)))
  return server
})

export const clientOf = (region: string) =>
  Log.layerClient({ serverDeadline: "60 seconds" }).pipe(
    Layer.provideMerge(CxlMemory.layerAttach({ region, processName: "client" }))
  )

/**
 * Kills the server, and stops the program that takes over from it in the midst of that. False when it was too fast: it
 * serves. Looks without a pause, because it takes over in a fraction of a second.
 */
export const stopRecovering = (region: string, server: Program, successor: Program) =>
  Effect.gen(function*() {
    const { handle } = yield* CxlMemory.NativeRegion
    const recovers = () => {
      const found = handle.server()
      return found.pid === successor.pid && found.state === serverState.recovering
    }
    server.signal("SIGKILL")
    for (const begun = performance.now(); !recovers() && performance.now() - begun < lookMillisMost;) continue
    process.kill(successor.pid, "SIGSTOP")
    yield* untilStopped(successor.pid)
    return recovers()
  }).pipe(Effect.provide(CxlMemory.layerAttach({ region, processName: "observer" })))

// --- internal ---

const lookMillisMost = 20_000
