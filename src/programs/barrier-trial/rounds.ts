/**
 * Runs the iterations of one member of a barrier trial, the coordinator included: sends its burst, enters the barrier,
 * and checks on return whether the barrier kept its promise.
 */
import * as Effect from "effect/Effect"
import { Barrier, type BarrierResult } from "../../services/Barrier.ts"
import { Coordinator } from "../../services/Coordinator.ts"
import { Messenger } from "../../services/Messenger.ts"
import { showMember } from "../../services/schema/Member.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { type MemberJob, type MemberResult, type MemberRound, Shot } from "./jobs.ts"
import { oracleOf, Tally } from "./tally.ts"

/** The names of the members, by number. */
export const memberName = (member: number): string => `member-${member}`

/** Counts the messages that arrive. Call it before any member sends. */
export const listen = Effect.fnUntraced(function*(job: MemberJob) {
  const messenger = yield* Messenger
  const tally = new Tally(job)
  yield* messenger.subscribe(Shot, ({ member, sequence }) =>
    Effect.suspend(() => {
      tally.begins(member, sequence)
      const ends = Effect.sync(() => tally.ends(member))
      return job.handlerDelayMillis === 0 ? ends : Effect.andThen(Effect.sleep(job.handlerDelayMillis), ends)
    }))
  return tally
})

/** Runs all iterations and returns what this member saw in each. */
export const takePart = Effect.fnUntraced(
  function*(job: MemberJob, tally: Tally, progress: (iterations: number) => void) {
    const nameOf = yield* namesOfMembers
    const rounds: Array<Met> = []
    let living: ReadonlyArray<number> = Array.from({ length: job.members }, (_, member) => member)
    for (let iteration = 1; iteration <= job.iterations; iteration += 1) {
      if (job.form === "start") yield* startTogether(job)
      yield* sendBurst(job, iteration)
      const round = yield* meet(job, iteration, tally, living, nameOf)
      living = round.living
      rounds.push(round)
      progress(iteration)
    }
    yield* awaitAll(job, tally, living)
    return resultOf(job, tally, rounds)
  }
)

// --- internal ---

/** A round, and the members whose messages it waited for. */
interface Met extends Omit<MemberRound, "reachedMillis"> {
  readonly living: ReadonlyArray<number>
}

const namesOfMembers = Effect.map(Coordinator, (coordinator) => {
  const names = new Map(coordinator.members().map(({ id, name }) => [showMember(id), name]))
  return (id: Parameters<typeof showMember>[0]) => names.get(showMember(id)) ?? showMember(id)
})

// Keeps each member from sending before all have left the previous barrier.
const startTogether = ({ deadlineMillis }: MemberJob) =>
  Barrier.use((barrier) => barrier.enter("start", { mode: "rendezvous", deadline: deadlineMillis }))

const sendBurst = Effect.fnUntraced(function*({ burst, diesIn, member }: MemberJob, iteration: number) {
  const messenger = yield* Messenger
  for (let shot = 0; shot < burst; shot += 1) {
    if (iteration === diesIn && shot === burst >> 1) process.kill(process.pid, "SIGKILL")
    yield* messenger.send(Shot, { member, sequence: (iteration - 1) * burst + shot }, "world")
  }
})

const meet = Effect.fnUntraced(function*(
  { deadlineMillis, mode }: MemberJob,
  iteration: number,
  tally: Tally,
  before: ReadonlyArray<number>,
  nameOf: (id: Parameters<typeof showMember>[0]) => string
) {
  const oracle = oracleOf(mode)
  const enteredMillis = monotonicMillis()
  const through = tally.total(oracle)
  const result = yield* Barrier.use((barrier) => barrier.enter("iteration", { mode, deadline: deadlineMillis }))
  // Stay synchronous from here on: no handler of this process may run before the counters are read.
  const departed = departedIn(result).map(nameOf)
  const living = before.filter((member) => !departed.includes(memberName(member)))
  const met: Met = {
    enteredMillis,
    returnedMillis: monotonicMillis(),
    missing: tally.missing(oracle, iteration, living),
    ahead: tally.ahead(iteration, living),
    drained: tally.total(oracle) - through,
    departed,
    living
  }
  return met
})

const departedIn = (result: BarrierResult) => result._tag === "Degraded" ? result.departed : []

// After a delivery fence the last handlers may still run, and without draining messages may still be on their way.
const awaitAll = ({ deadlineMillis, iterations }: MemberJob, tally: Tally, living: ReadonlyArray<number>) =>
  Effect.callback<void>((resume) => {
    const look = () => {
      if (tally.missing("ended", iterations, living) === 0) resume(Effect.void)
    }
    const stop = tally.onEnded(look)
    look()
    return Effect.sync(stop)
  }).pipe(Effect.timeoutOption(deadlineMillis), Effect.asVoid)

const resultOf = ({ iterations, member, mode }: MemberJob, tally: Tally, met: ReadonlyArray<Met>): MemberResult => ({
  member,
  rounds: met.map(({ living, ...round }, i) => ({
    ...round,
    reachedMillis: tally.reachedMillis(oracleOf(mode), i + 1, living)
  })),
  handled: tally.total("ended"),
  disordered: tally.disordered,
  lost: tally.missing("ended", iterations, met.at(-1)?.living ?? [])
})
