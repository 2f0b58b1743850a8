/**
 * A child of the log benchmark: appends groups of bytes to a file, and syncs each group before the next.
 */
import * as Effect from "effect/Effect"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { diskError, newFile, PlainWriter } from "./PlainFiles.ts"

runChild(PlainWriter, ({ dir, groupBytes, totalBytes, warmupBytes }, parent) =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* newFile(dir)
    const group = new Uint8Array(groupBytes).fill(1)
    const writing = (bytes: number, synced: (micros: number) => void) =>
      Effect.tryPromise({
        try: async () => {
          for (let left = bytes; left > 0; left -= group.length) {
            await file.writeFile(group.subarray(0, left))
            const began = monotonicMillis()
            await file.datasync()
            synced((monotonicMillis() - began) * 1000)
          }
        },
        catch: diskError("write", dir)
      })
    yield* parent.ready
    yield* parent.begin
    yield* writing(warmupBytes, () => undefined)
    const syncs = Histogram.make()
    const cores = coresSince()
    const beganMillis = monotonicMillis()
    yield* writing(totalBytes, syncs.record)
    yield* parent.result({ beganMillis, endedMillis: monotonicMillis(), cores: cores(), syncMicros: syncs.encoded() })
    yield* parent.end
  })))
