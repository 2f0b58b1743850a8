/**
 * `npm run bench -- barrier`: measures barriers without messages, a bare wake-up, and the processor use of idle
 * members.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "../../src/programs/cli/settings.ts"
import { countFlag, millisFlag } from "../../src/programs/cli/units.ts"
import { lines } from "../../src/programs/cli/usage.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import { attemptsSetting, benchmark, runsSetting, strategySetting } from "../harness/command.ts"
import { type Figure, figure, type Goal, latencyFigure, ratioOf } from "../harness/comparison.ts"
import { bareFigure, bareTrips, type Measuring } from "../ring/scenarios.ts"
import { BarrierMember, type BarrierTimes } from "./jobs.ts"

const memberCounts = ["2", "4", "8"] as const

const settings = {
  rounds: setting("rounds", (name) => countFlag(name, 10_000_000), {
    description: "Barriers of each mode to time, after half as many for warm-up",
    fallback: 5000
  }),
  idleMillis: setting("idle", millisFlag, {
    description: "How long to measure the processor use of idle members",
    fallback: 4000,
    show: (millis) => `${millis}ms`
  }),
  strategy: strategySetting,
  runs: runsSetting,
  attempts: attemptsSetting,
  only: openSetting("only", (name) => Flag.Literals(name, memberCounts), {
    description: "Measure only swarms of that many members",
    shown: "all"
  }),
  json: jsonSetting
}

type Values = ValuesOf<typeof settings>

export const benchBarrier = Command.make(
  "barrier",
  { ...flagsOf(settings), printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => run(values))
).pipe(
  Command.withDescription(
    lines(
      "Measures barriers of each mode between 2, 4 and 8 processes that send nothing, from a member's call to its return,",
      "all members calling in a loop; the processor time of one barrier over all processes; and the processor use of idle",
      "members. In the same run: a bare wake-up between two event loops."
    )
  ),
  Command.withShortDescription("Latency of barriers, and the cost of idle members")
)

// --- internal ---

const keys = {
  bare: "bare wake-up, asleep",
  mode: (members: number, mode: BarrierMode) => `${mode} of ${members}`,
  idle: (members: number) => `idle, of ${members}`
}

const run = (values: Values) => {
  const { attempts, idleMillis, json, only, rounds, runs, strategy } = values
  const comparisons = memberCounts.filter((name) => only === undefined || name === only).map((name) => ({
    name: `${name} members`,
    measurements: [bareFigure(keys.bare, bareTrips), barrierFigures(Number(name), values)]
  }))
  return benchmark(json, {
    program: "bench barrier",
    runs,
    attempts,
    settings: { rounds, idleMillis, strategy },
    comparisons,
    goals
  })
}

const barrierFigures = (members: number, { idleMillis, rounds, strategy }: Values): Measuring =>
  Effect.gen(function*() {
    const common = {
      region: `bench-${process.pid}`,
      members,
      strategy,
      warmup: Math.ceil(rounds / 2),
      rounds,
      idleMillis
    }
    const names = Array.from({ length: members }, (_, member) => `member-${member}`)
    // Start them one after the other: the first creates the region that the others join.
    const children = yield* Effect.forEach(
      names,
      (name, member) => Children.started(BarrierMember, name, { ...common, name, coordinates: member === 0 })
    )
    yield* Children.all(children, ({ tell }) => tell("begin"))
    const times = yield* Children.all(children, ({ result }) => result)
    yield* Children.end(children)
    return [
      ...BarrierMode.literals.map((mode) => modeFigure({ members, mode, rounds }, times)),
      idleFigure(members, times)
    ]
  }).pipe(Effect.scoped)

interface Timed {
  readonly members: number
  readonly mode: BarrierMode
  readonly rounds: number
}

/** `processor`: the processor time of one barrier over all processes. */
const modeFigure = ({ members, mode, rounds }: Timed, times: ReadonlyArray<BarrierTimes>): Figure => {
  const timed = times.flatMap(({ modes }) => modes.filter((of) => of.mode === mode))
  const latency = latencyFigure(keys.mode(members, mode), timed.map((of) => of.latency))
  const processorMicros = timed.reduce((sum, of) => sum + of.processorMicros, 0) / rounds
  return { ...latency, values: { ...latency.values, processorMicros } }
}

const idleFigure = (members: number, [coordinator, ...others]: ReadonlyArray<BarrierTimes>): Figure =>
  figure(keys.idle(members), {
    coordinatorPercent: coordinator?.idlePercent ?? 0,
    memberPercent: Math.max(...others.map(({ idlePercent }) => idlePercent))
  })

/**
 * Sintra's barriers of 4 members on a machine of this kind, p50 in microseconds: the version of July 2026, built from
 * its sources.
 */
const sintraMicros: Readonly<Record<BarrierMode, number>> = {
  rendezvous: 4500,
  deliveryFence: 4500,
  processingFence: 9000
}

/** The goals, as multiples of a bare round trip of wake-ups. */
const wakeUpsMax: Readonly<Record<BarrierMode, number>> = { rendezvous: 4, deliveryFence: 6, processingFence: 6 }

const goals: ReadonlyArray<Goal> = [
  ...BarrierMode.literals.map((mode): Goal => ({
    name: `${mode} of 4 / bare wake-up, p50`,
    wanted: wakeUpsMax[mode],
    sense: "at most",
    unit: "times",
    reached: (valueOf) => ratioOf(valueOf, [keys.mode(4, mode), "p50Micros"], [keys.bare, "p50Micros"])
  })),
  ...BarrierMode.literals.map((mode): Goal => ({
    name: `Sintra's ${sintraMicros[mode] / 1000} ms / ${mode} of 4, p50`,
    wanted: 5,
    sense: "at least",
    unit: "times",
    reached: (valueOf) => {
      const micros = valueOf(keys.mode(4, mode), "p50Micros")
      return micros === undefined ? undefined : sintraMicros[mode] / micros
    }
  })),
  ...BarrierMode.literals.map((mode): Goal => ({
    name: `processor time of ${mode} of 4, all processes`,
    wanted: 450,
    sense: "at most",
    unit: "micros",
    reached: (valueOf) => valueOf(keys.mode(4, mode), "processorMicros")
  })),
  ...[2, 4, 8].map((members): Goal => ({
    name: `processor of an idle member, of ${members}`,
    wanted: 0.5,
    sense: "at most",
    unit: "percent",
    reached: (valueOf) => {
      const idle = (value: string) => valueOf(keys.idle(members), value)
      const coordinator = idle("coordinatorPercent")
      return coordinator === undefined ? undefined : Math.max(coordinator, idle("memberPercent") ?? 0)
    }
  }))
]
