/**
 * Watches a running log from the process that started it: for the progress line, for the report, and to fail a run that
 * makes no progress, with the reason.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { waitingLine } from "../../services/AckTracker.ts"
import { Diagnostics, type LogSnapshot } from "../../services/Diagnostics.ts"
import { showPid } from "../../services/schema/ProcessId.ts"
import { formatMillis } from "../cli/units.ts"

/** No record was ordered or delivered for too long. */
export class RunStalled extends Schema.TaggedError<RunStalled>()("RunStalled", {
  stalledMillis: Schema.Int,
  waiting: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `no progress for ${formatMillis(this.stalledMillis)}: ${this.waiting.join("; ")}`
  }
}

export interface LogMonitor {
  /** The largest number of batches seen held at one time. */
  readonly heldPeak: () => number
  /** Takes a new sample now. */
  readonly observe: Effect.Effect<LogSnapshot>
  /** Fails when the run stalls. */
  readonly stalled: Effect.Effect<never, RunStalled>
}

const stallMillis = 45_000

/** `delivered` counts the records that the children report: it must advance too. */
export const watch = Effect.fnUntraced(function*(
  delivered: () => number,
  observeMillis: number
): Effect.fn.Return<LogMonitor, never, Scope.Scope | Diagnostics> {
  const diagnostics = yield* Diagnostics
  let latest = yield* diagnostics.snapshot
  let heldPeak = 0
  let moved = -1
  let movedAt = performance.now()
  const observe = Effect.map(diagnostics.snapshot, (snapshot) => {
    latest = snapshot
    heldPeak = Math.max(heldPeak, snapshot.sessions.reduce((sum, { held }) => sum + held, 0))
    // Under order `none` nothing is committed: what the sequencer has seen of the lanes counts.
    const committed = snapshot.topics.reduce((sum, { committedMessages }) => sum + committedMessages, delivered())
    const moving = snapshot.brokers.reduce((sum, { frontiers }) => sum + frontiers.scanned, committed)
    if (moving !== moved) movedAt = performance.now()
    moved = moving
    return snapshot
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(observe, Effect.sleep(observeMillis))))
  const stalled = Effect.gen(function*() {
    while (performance.now() - movedAt < stallMillis) yield* Effect.sleep(1000)
    return yield* new RunStalled({ stalledMillis: stallMillis, waiting: waitingIn(latest) })
  })
  return { heldPeak: () => heldPeak, observe, stalled }
})

// --- internal ---

const waitingIn = (snapshot: LogSnapshot): ReadonlyArray<string> => [
  ...snapshot.sessions.filter(({ state }) => state === "open").map(({ acks }) => waitingLine(acks)),
  ...snapshot.topics.flatMap(({ readers }) =>
    readers.filter(({ behindBatches }) => behindBatches > 0).map((reader) =>
      `subscriber "${reader.name}" (${showPid(reader)}) is ${reader.behindBatches} batches behind`
    )
  )
]
