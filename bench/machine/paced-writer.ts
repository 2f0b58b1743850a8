/**
 * A child of the log benchmark: bytes come in at a given rate, and it appends those of an interval to a file and syncs them,
 * as a replica does with records. What comes in meanwhile waits for the next group.
 */
import * as Effect from "effect/Effect"
import { setTimeout } from "node:timers/promises"
import { coresSince } from "../../src/programs/measure/cpu-usage.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { PacedWriter } from "./PacedFiles.ts"
import { diskError, newFile } from "./PlainFiles.ts"

runChild(
  PacedWriter,
  ({ bytesPerSecond, dir, intervalMillis, seconds, settlingSeconds, warmupBytes }, parent) =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* newFile(dir)
      const chunk = new Uint8Array(4 * 1024 * 1024).fill(1)
      const append = async (bytes: number) => {
        for (let left = bytes; left > 0; left -= chunk.length) await file.writeFile(chunk.subarray(0, left))
        const began = monotonicMillis()
        await file.datasync()
        return (monotonicMillis() - began) * 1000
      }
      const writing = <A>(work: () => Promise<A>) => Effect.tryPromise({ try: work, catch: diskError("write", dir) })
      yield* parent.ready
      yield* parent.begin
      yield* writing(async () => {
        for (let left = warmupBytes; left > 0; left -= chunk.length) await append(Math.min(left, chunk.length))
      })
      const syncs = Histogram.make()
      let cores = coresSince()
      const began = monotonicMillis() + settlingSeconds * 1000
      const groups: Array<{ readonly cutMillis: number; readonly doneMillis: number }> = []
      yield* writing(async () => {
        let cutMillis = -settlingSeconds * 1000
        for (let written = 0; cutMillis < seconds * 1000;) {
          const isSettled = cutMillis >= 0
          await setTimeout(Math.max(0, cutMillis + intervalMillis - (monotonicMillis() - began)))
          cutMillis = monotonicMillis() - began
          if (cutMillis >= 0 && !isSettled) cores = coresSince()
          const due = Math.floor(bytesPerSecond * (cutMillis / 1000 + settlingSeconds))
          const syncMicros = await append(due - written)
          written = due
          if (cutMillis < 0) continue
          syncs.record(syncMicros)
          groups.push({ cutMillis, doneMillis: monotonicMillis() - began })
        }
      })
      yield* parent.result({ groups, cores: cores(), syncMicros: syncs.encoded() })
      yield* parent.end
    }))
)
