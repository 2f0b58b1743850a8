/**
 * Plain files that are written at a given rate: how soon a device has what comes in, without a log. As many processes as there
 * are replicas append to a file each what came in during an interval, and sync it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { LatencyHistogram, type Percentiles } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import * as Children from "../../src/programs/processes/spawn.ts"

const Job = Schema.Struct({
  dir: Schema.String,
  bytesPerSecond: Schema.Finite,
  /** Written at the rate ahead of what is measured. */
  settlingSeconds: Schema.Finite,
  seconds: Schema.Finite,
  intervalMillis: Schema.Finite,
  /** Written ahead of all that, as fast as it goes. */
  warmupBytes: Schema.Int
})

const Written = Schema.Struct({
  /** What came in until `cutMillis` was synced at `doneMillis`; what is measured begins at 0. */
  groups: Schema.Array(Schema.Struct({ cutMillis: Schema.Finite, doneMillis: Schema.Finite })),
  cores: Schema.Finite,
  syncMicros: LatencyHistogram
})
type Written = typeof Written.Type

export const PacedWriter: ChildProgram<typeof Job.Type, Written> = {
  entry: programBeside(import.meta.url, "paced-writer"),
  job: Job,
  result: Written
}

export interface PacedFilesOptions extends Omit<typeof Job.Type, "dir"> {
  readonly dirs: ReadonlyArray<string>
}

export interface PacedFilesWritten {
  /** From the moment in which a byte came in until it was synced in each of the files. */
  readonly latencyMicros: Percentiles
  readonly syncMicros: Percentiles
  readonly cores: number
}

/** Starts the writers. They write once `begin` is run; `written` waits for them. */
export const start = Effect.fnUntraced(function*({ dirs, ...job }: PacedFilesOptions) {
  const writers = yield* Effect.forEach(dirs, (dir, i) => Children.spawn(PacedWriter, `paced-${i}`, { ...job, dir }))
  yield* Children.all(writers, ({ ready }) => ready)
  const written = Effect.gen(function*() {
    const results = yield* Children.all(writers, ({ result }) => result)
    yield* Children.end(writers)
    return {
      latencyMicros: latencyOf(results),
      syncMicros: Histogram.merged(results.map(({ syncMicros }) => syncMicros)).percentiles(),
      cores: results.reduce((sum, { cores }) => sum + cores, 0)
    } satisfies PacedFilesWritten
  })
  return { begin: Effect.forEach(writers, ({ tell }) => tell("begin"), { discard: true }), written }
})

// --- internal ---

/** So often a byte is looked at. */
const sampleMillis = 0.1

const latencyOf = (results: ReadonlyArray<Written>): Percentiles => {
  const latency = Histogram.make()
  const at = results.map(() => 0)
  const lastMillis = Math.min(...results.map(({ groups }) => groups.at(-1)?.cutMillis ?? 0))
  for (let millis = 0; millis < lastMillis; millis += sampleMillis) {
    let doneMillis = 0
    for (const [i, { groups }] of results.entries()) {
      while ((groups[at[i]!]?.cutMillis ?? Infinity) < millis) at[i]! += 1
      doneMillis = Math.max(doneMillis, groups[at[i]!]?.doneMillis ?? 0)
    }
    latency.record((doneMillis - millis) * 1000)
  }
  return latency.percentiles()
}
