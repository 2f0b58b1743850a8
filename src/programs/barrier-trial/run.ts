/**
 * Runs a barrier trial: this process coordinates and is a member itself, the other members are children.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Swarm from "../../layers/Swarm.ts"
import type { BarrierTrace } from "../../layers/Swarm.ts"
import * as Progress from "../cli/progress.ts"
import { formatCount } from "../cli/units.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import * as Children from "../processes/spawn.ts"
import { type MemberJob, type MemberResult, TrialMember } from "./jobs.ts"
import type { TrialPlan } from "./plan.ts"
import { listen, takePart } from "./rounds.ts"

/** The outcome of one member. */
export type Verdict =
  | { readonly _tag: "Reported"; readonly result: MemberResult }
  | { readonly _tag: "Killed"; readonly how: string }

export interface TrialOutcome {
  readonly beganMillis: number
  /** By member number. */
  readonly verdicts: ReadonlyArray<Verdict>
  /** The coordinator's trace of each target, if tracing is on. */
  readonly traces: ReadonlyArray<BarrierTrace>
}

export const run = (plan: TrialPlan) => {
  const { drain, members, trace } = plan.options
  const traces: Array<BarrierTrace> = []
  const [{ name }] = plan.jobs
  const swarm = Swarm.layerCoordinator({
    region: plan.region,
    name,
    members,
    plainRings: 0,
    drain,
    trace: trace ? (event) => void traces.push(event) : undefined
  })
  return meetAll(plan.jobs).pipe(
    Effect.map((met): TrialOutcome => ({ ...met, traces })),
    Effect.scoped,
    Effect.provide(swarm)
  )
}

/** Runs the trial with all members in this process and their rings in its heap, where no member can be killed. */
export const runInHeap = (plan: TrialPlan) =>
  Effect.gen(function*() {
    const { drain, members: count } = plan.options
    const region = yield* Swarm.makeHeapRegion({ members: count, plainRings: 0 })
    const members = yield* Effect.forEach(plan.jobs, (job) =>
      Effect.gen(function*() {
        const { member, name } = job
        const context = yield* Layer.build(Swarm.layerHeapMember(region, { name, coordinate: member === 0, drain }))
        const tally = yield* Effect.provideContext(listen(job), context)
        return { context, job, tally }
      }))
    const beganMillis = monotonicMillis()
    let iterations = 0
    const verdicts = yield* Effect.forEach(members, ({ context, job, tally }) => {
      const progress = (met: number) => void (iterations = Math.max(iterations, met))
      return takePart(job, tally, progress).pipe(
        Effect.map((result): Verdict => ({ _tag: "Reported", result })),
        Effect.provideContext(context)
      )
    }, { concurrency: "unbounded" }).pipe(showing(plan.options.iterations, () => iterations))
    const outcome: TrialOutcome = { beganMillis, verdicts, traces: [] }
    return outcome
  }).pipe(Effect.scoped)

// --- internal ---

const meetAll = Effect.fnUntraced(function*([own, ...jobs]: TrialPlan["jobs"]) {
  const tally = yield* listen(own)
  const children = yield* Effect.forEach(
    jobs,
    (job) => Effect.map(Children.spawn(TrialMember, job.name, job), (child): Started => ({ child, job }))
  )
  const everyChild = children.map(({ child }) => child)
  yield* Children.all(everyChild, ({ ready }) => ready)
  const beganMillis = monotonicMillis()
  let iterations = 0
  const ownVerdict = Effect.map(
    takePart(own, tally, (met) => {
      iterations = met
    }),
    (result): Verdict => ({ _tag: "Reported", result })
  )
  yield* Children.all(everyChild, ({ tell }) => tell("begin"))
  const verdicts = yield* Effect.all([ownVerdict, ...children.map(verdictOf)], { concurrency: "unbounded" }).pipe(
    showing(own.iterations, () => iterations)
  )
  const living = children.filter((_, i) => verdicts[i + 1]?._tag === "Reported").map(({ child }) => child)
  yield* Children.all(living, ({ tell }) => tell("end"))
  yield* Children.all(living, ({ finished }) => finished)
  return { beganMillis, verdicts }
})

interface Started {
  readonly child: Children.Child<MemberResult>
  readonly job: MemberJob
}

// Only the planned death is expected; any other fails the trial.
const verdictOf = ({ child, job }: Started): Effect.Effect<Verdict, Children.ChildError> => {
  const reported = Effect.map(child.result, (result): Verdict => ({ _tag: "Reported", result }))
  if (job.diesIn === 0) return reported
  return Effect.catchTag(reported, "ChildDied", ({ how }) => Effect.succeed<Verdict>({ _tag: "Killed", how }))
}

const showing =
  (iterations: number, met: () => number) => <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const state = Effect.sync((): Progress.ProgressState => ({
      fraction: met() / iterations,
      text: `${formatCount(met())} of ${formatCount(iterations)} iterations`
    }))
    return Effect.scoped(Effect.andThen(Progress.show("barrier", state), work))
  }
