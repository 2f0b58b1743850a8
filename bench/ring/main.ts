/**
 * `npm run bench -- ring`: measures the rings, the machine's own limits and the alternatives in Node.js.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "../../src/programs/cli/settings.ts"
import { countFlag } from "../../src/programs/cli/units.ts"
import { lines } from "../../src/programs/cli/usage.ts"
import { attemptsSetting, benchmark, runsSetting } from "../harness/command.ts"
import { type Goal, ratioOf } from "../harness/comparison.ts"
import { asleepRivals, rivalFigure, spinningRivals, streamRivals } from "../rivals/scenarios.ts"
import * as Scenarios from "./scenarios.ts"
import type { Measuring, Stream } from "./scenarios.ts"

const groupNames = ["64B", "1KiB", "two readers", "spinning", "asleep", "the dead", "rivals", "rival streams"] as const

const settings = {
  messages: setting("messages", (name) => countFlag(name, 1_000_000_000), {
    description: "Messages of 64 bytes to carry in each measurement; a quarter as many of 1 KiB",
    fallback: 8_000_000
  }),
  trips: setting("trips", (name) => countFlag(name, 100_000_000), {
    description: "Round trips in each spinning measurement; a twentieth as many if both sides sleep",
    fallback: 200_000
  }),
  runs: runsSetting,
  attempts: attemptsSetting,
  only: openSetting("only", (name) => Flag.Literals(name, groupNames), {
    description: "Measure only one group",
    shown: "all"
  }),
  json: jsonSetting
}

export const benchRing = Command.make(
  "ring",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => run(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures rings between processes: messages a second to one and two readers, and round trips that spin and that",
      "sleep, and the cost of readers that were killed in their sleep. In the same run: the machine's own limits, worker_threads, child_process, Unix sockets and, where they are",
      "installed, zeromq and ringbuf.js."
    )
  ),
  Command.withShortDescription("Throughput and round trips of rings")
)

// --- internal ---

const keys = {
  copy: (size: string) => `copy limit, ${size}`,
  batched: (size: string) => `ring ${size}, batched`,
  bySpan: (size: string) => `ring ${size}, batched, by span`,
  oneByOne: (size: string) => `ring ${size}, one by one`,
  line: "cache line, native, spinning",
  nativeSpin: "ring, native, spinning",
  spin: "ring, spin",
  poll: "ring, polled without the event loop",
  adaptive: "ring, adaptive",
  futex: "futex, native, asleep",
  nativeAsleep: "ring, native, asleep",
  bare: "bare wake-up, asleep",
  park: "ring, park",
  publishAlone: "publish, natively, no readers",
  publishDead: `publish, natively, ${Scenarios.deadSleepers} readers killed in their sleep`,
  parkBeside: "ring, park, beside the rivals",
  oneByOneBeside: "ring 64 B, one by one, beside the rivals"
} as const

const run = ({ attempts, json, messages, only, runs, trips }: ValuesOf<typeof settings>) => {
  const comparisons = groupNames.filter((name) => only === undefined || name === only).map((name) => ({
    name,
    measurements: measurementsOf(name, messages, trips)
  }))
  return benchmark(json, { program: "bench ring", runs, attempts, settings: { messages, trips }, comparisons, goals })
}

const sleepingOf = (trips: number): number => Math.ceil(trips / 20)

const measurementsOf = (
  name: typeof groupNames[number],
  messages: number,
  trips: number
): ReadonlyArray<Measuring> => {
  const small: Stream = { messageBytes: 64, messages, readers: 1, batched: true }
  const large: Stream = { messageBytes: 1024, messages: Math.ceil(messages / 4), readers: 1, batched: true }
  const sleeping = sleepingOf(trips)
  switch (name) {
    case "64B":
      return streams("64 B", small)
    case "1KiB":
      return streams("1 KiB", large)
    case "two readers":
      return [
        ...streams("64 B to 2", { ...small, readers: 2 }).slice(1),
        ...streams("1 KiB to 2", { ...large, readers: 2 }).slice(1)
      ]
    case "spinning":
      return [
        Scenarios.lineFigure(keys.line),
        Scenarios.nativeRingFigure(keys.nativeSpin, { trips, asleep: false }),
        Scenarios.tripsFigure(keys.spin, "spin", trips),
        Scenarios.tripsFigure(keys.poll, "poll", trips),
        Scenarios.tripsFigure(keys.adaptive, "adaptive", trips),
        ...spinningRivals.map((rival) => rivalFigure(rival, trips))
      ]
    case "asleep":
      return [
        Scenarios.futexFigure(keys.futex, sleeping),
        Scenarios.nativeRingFigure(keys.nativeAsleep, { trips: sleeping, asleep: true }),
        Scenarios.bareFigure(keys.bare, sleeping),
        Scenarios.tripsFigure(keys.park, "park", sleeping)
      ]
    case "the dead":
      return [Scenarios.publishFigures({ alone: keys.publishAlone, dead: keys.publishDead })]
    case "rivals":
      return [
        Scenarios.tripsFigure(keys.parkBeside, "park", sleeping),
        ...asleepRivals.map((rival) => rivalFigure(rival, sleeping))
      ]
    case "rival streams":
      return [Scenarios.streamFigure(keys.oneByOneBeside, { ...small, batched: false }), ...streamRivals(messages)]
  }
}

const streams = (size: string, stream: Stream): ReadonlyArray<Measuring> => [
  Scenarios.copyLimitFigure(keys.copy(size), stream),
  Scenarios.streamFigure(keys.batched(size), stream),
  Scenarios.streamFigure(keys.bySpan(size), { ...stream, bySpan: true }),
  Scenarios.streamFigure(keys.oneByOne(size), { ...stream, batched: false })
]

const goals: ReadonlyArray<Goal> = [
  {
    name: "64 B to one reader, batched",
    wanted: 5e6,
    sense: "at least",
    unit: "perSecond",
    reached: (valueOf) => valueOf(keys.batched("64 B"), "messagesPerSecond")
  },
  {
    name: "64 B to one reader, one by one",
    wanted: 1.5e6,
    sense: "at least",
    unit: "perSecond",
    reached: (valueOf) => valueOf(keys.oneByOne("64 B"), "messagesPerSecond")
  },
  {
    name: "1 KiB, batched / copy limit",
    wanted: 0.5,
    sense: "at least",
    unit: "times",
    reached: (valueOf) =>
      ratioOf(valueOf, [keys.batched("1 KiB"), "gigabytesPerSecond"], [keys.copy("1 KiB"), "gigabytesPerSecond"])
  },
  {
    name: "round trip, spin, p50",
    wanted: 1.5,
    sense: "at most",
    unit: "micros",
    reached: (valueOf) => valueOf(keys.spin, "p50Micros")
  },
  {
    name: "round trip asleep / bare wake-up, p50",
    wanted: 1.5,
    sense: "at most",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.park, "p50Micros"], [keys.bare, "p50Micros"])
  },
  {
    name: "native round trip asleep / futex, p50",
    wanted: 1.5,
    sense: "at most",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.nativeAsleep, "p50Micros"], [keys.futex, "p50Micros"])
  },
  {
    name: `publish with ${Scenarios.deadSleepers} dead sleepers / with none, p50`,
    wanted: 1.2,
    sense: "at most",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.publishDead, "p50Nanos"], [keys.publishAlone, "p50Nanos"])
  }
]
