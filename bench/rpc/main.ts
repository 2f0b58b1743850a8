/**
 * `npm run bench -- rpc`: measures a call over rings, over a Unix socket, and without a transport.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  configured,
  flagsOf,
  jsonSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "../../src/programs/cli/settings.ts"
import { countFlag } from "../../src/programs/cli/units.ts"
import { lines } from "../../src/programs/cli/usage.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import { attemptsSetting, benchmark, runsSetting } from "../harness/command.ts"
import { type Goal, latencyFigure, ratioOf } from "../harness/comparison.ts"
import { bareFigure, bareTrips, type Measuring } from "../ring/scenarios.ts"
import { RpcCalling, type RpcJob, RpcServing } from "./jobs.ts"

const settings = {
  calls: setting("calls", (name) => countFlag(name, 100_000_000), {
    description: "Calls in each measurement, one after the other",
    fallback: 20_000
  }),
  runs: runsSetting,
  attempts: attemptsSetting,
  json: jsonSetting
}

export const benchRpc = Command.make(
  "rpc",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => run(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures unary calls between two processes, one after the other: over rings that spin and that sleep, and over a",
      "Unix socket with Effect's own protocol, both with the same procedures and the same encoding."
    )
  ),
  Command.withShortDescription("Latency of calls between processes")
)

// --- internal ---

const keys = {
  direct: "in one process, without a transport",
  bare: "bare wake-up, asleep",
  spin: "RPC over rings, spin",
  adaptive: "RPC over rings, adaptive",
  park: "RPC over rings, park",
  socket: "RPC over a Unix socket"
} as const

const run = ({ attempts, calls, json, runs }: ValuesOf<typeof settings>) => {
  const over = (key: string, ways: Partial<RpcJob>): Measuring => callsFigure(key, calls, ways)
  const comparisons = [{
    name: "unary",
    measurements: [
      over(keys.direct, { over: "direct" }),
      bareFigure(keys.bare, bareTrips),
      over(keys.spin, { strategy: "spin" }),
      over(keys.adaptive, { strategy: "adaptive" }),
      over(keys.park, { strategy: "park" }),
      over(keys.socket, { over: "socket" })
    ]
  }]
  return benchmark(json, { program: "bench rpc", runs, attempts, settings: { calls }, comparisons, goals })
}

const callsFigure = (key: string, calls: number, ways: Partial<RpcJob>): Measuring =>
  Effect.gen(function*() {
    const region = `bench-${process.pid}`
    const job: RpcJob = {
      region,
      name: "client",
      coordinates: false,
      members: 2,
      strategy: "park",
      over: "ring",
      path: join(tmpdir(), `ringfence-${region}.sock`),
      warmup: Math.ceil(calls / 2),
      calls,
      ...ways
    }
    const server = job.over === "direct"
      ? []
      : [yield* Children.started(RpcServing, "server", { ...job, name: "server", coordinates: true })]
    const client = yield* Children.started(RpcCalling, "client", job)
    const latency = yield* client.result
    yield* Children.end([client])
    yield* Children.end(server)
    return [latencyFigure(key, [latency])]
  }).pipe(Effect.scoped)

const goals: ReadonlyArray<Goal> = [
  {
    name: "over a socket / over rings, spin, p50",
    wanted: 3,
    sense: "at least",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.socket, "p50Micros"], [keys.spin, "p50Micros"])
  },
  {
    name: "over a socket / over rings, asleep, p50",
    wanted: 1,
    sense: "at least",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.socket, "p50Micros"], [keys.park, "p50Micros"])
  }
]
