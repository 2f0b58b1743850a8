/**
 * The checks of a barrier trial. What must have arrived before a release depends on the barrier's mode.
 */
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import { type Check, check } from "../cli/checks.ts"
import { formatCount, formatMillis, plural } from "../cli/units.ts"
import { type Iteration, iterationsOf, resultsOf, typical } from "./iterations.ts"
import type { TrialPlan } from "./plan.ts"
import { memberName } from "./rounds.ts"
import type { TrialOutcome } from "./run.ts"

export const checksOf = ({ options }: TrialPlan, outcome: TrialOutcome): ReadonlyArray<Check> => {
  const iterations = iterationsOf(options, outcome)
  return [
    everyRoundReleased(options.iterations, options.kill === undefined ? options.members : options.members - 1, outcome),
    ...(options.mode === "rendezvous" ? [] : [nothingMissing(options.mode, iterations)]),
    noneEarly(options.mode, iterations),
    ...(options.form === "start" ? [nothingAhead(iterations)] : []),
    inOrder(outcome),
    nothingLost(outcome),
    ...(options.kill === undefined ? [] : [killed(options.kill.member, outcome)]),
    deadNamed(options.kill, iterations),
    ...(options.kill === undefined ? [] : [soonAfterDeath(options.kill.iteration, iterations)])
  ]
}

// --- internal ---

/** How much longer than the median the iteration of a death may take. */
const deathMillisMax = 300

const sum = <A>(values: ReadonlyArray<A>, f: (value: A) => number): number =>
  values.reduce((total, value) => total + f(value), 0)

const everyRoundReleased = (iterations: number, members: number, outcome: TrialOutcome): Check => {
  const released = sum(resultsOf(outcome), ({ rounds }) => rounds.length)
  const wanted = iterations * members
  return check(
    "every barrier is released in every member",
    released === wanted,
    `${formatCount(released)} of ${formatCount(wanted)} returned`
  )
}

const nothingMissing = (mode: BarrierMode, iterations: ReadonlyArray<Iteration>): Check => {
  const missing = sum(iterations, (iteration) => iteration.missing)
  const hit = iterations.filter((iteration) => iteration.missing > 0).length
  const through = mode === "processingFence" ? "handled" : "delivered"
  return check(
    `messages sent before a barrier are ${through} when it returns`,
    missing === 0,
    `${plural(missing, "message")} missing${hit === 0 ? "" : `, in ${plural(hit, "iteration")}`}`
  )
}

const conditions: Readonly<Record<BarrierMode, string>> = {
  rendezvous: "all have arrived",
  deliveryFence: "all have arrived and the coordinator has every message",
  processingFence: "all have arrived and every member has handled every message"
}

const noneEarly = (mode: BarrierMode, iterations: ReadonlyArray<Iteration>): Check => {
  const early = sum(iterations, (iteration) => iteration.early)
  return check(`no member returns before ${conditions[mode]}`, early === 0, `${plural(early, "early return")}`)
}

const nothingAhead = (iterations: ReadonlyArray<Iteration>): Check => {
  const ahead = sum(iterations, (iteration) => iteration.ahead)
  return check(
    "no message arrives before the start of its iteration",
    ahead === 0,
    `${plural(ahead, "message")} ahead`
  )
}

const inOrder = (outcome: TrialOutcome): Check => {
  const results = resultsOf(outcome)
  const disordered = sum(results, (result) => result.disordered)
  const handled = formatCount(sum(results, (result) => result.handled))
  return check(
    "each sender's messages arrive in order, none twice",
    disordered === 0,
    `${formatCount(disordered)} of ${handled} out of place`
  )
}

const nothingLost = (outcome: TrialOutcome): Check => {
  const lost = sum(resultsOf(outcome), (result) => result.lost)
  return check("every message arrives in the end", lost === 0, `${plural(lost, "message")} lost`)
}

const killed = (member: number, { verdicts }: TrialOutcome): Check => {
  const verdict = verdicts[member]
  const how = verdict?._tag === "Killed" ? verdict.how : "it reported"
  return check(`${memberName(member)} is killed`, how === "killed by SIGKILL", how)
}

const deadNamed = (
  kill: { readonly member: number; readonly iteration: number } | undefined,
  iterations: ReadonlyArray<Iteration>
): Check => {
  const right = iterations.every(({ agreed, departed, iteration }) =>
    agreed && departed.join() === (iteration === kill?.iteration ? memberName(kill.member) : "")
  )
  const told = iterations.flatMap(({ departed, iteration }) => departed.map((name) => `${name} in ${iteration}`))
  return check(
    kill === undefined ? "no member is reported dead" : "every other member learns which member is dead, once",
    right,
    told.length === 0 ? "no departure" : told.join("; ")
  )
}

const soonAfterDeath = (iteration: number, iterations: ReadonlyArray<Iteration>): Check => {
  const { median } = typical(iterations, ({ millis }) => millis)
  const more = (iterations[iteration - 1]?.millis ?? Number.POSITIVE_INFINITY) - median
  return check(
    `the iteration of the death takes at most ${formatMillis(deathMillisMax)} longer`,
    more <= deathMillisMax,
    `${formatMillis(more)} more than the median of ${formatMillis(median)}`
  )
}
