/**
 * Commits how far a subscriber has come, under the name of its cursor.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ArgumentInvalid } from "../../../services/input/ArgumentInvalid.ts"
import type { Topic } from "../../../services/schema/Topic.ts"
import { type CommitError, type CommitOptions, CursorTaken } from "../../../services/Subscriber.ts"
import type { HeldCursor } from "../../ports/CursorPort.ts"
import type { Holding } from "./openWithCursor.ts"

/** `delivered`: position of the first undelivered record; `undefined` while nothing was delivered and it is not known. */
export const committing = (topic: Topic<any>, holding: Holding | undefined, delivered: () => number | undefined) => {
  let committed = holding?.held.committed ?? 0
  return (options: CommitOptions = {}): Effect.Effect<number, CommitError> =>
    Effect.gen(function*() {
      if (holding === undefined) {
        return yield* refused("the subscriber", "one without a cursor", "opened with { cursor }")
      }
      const { held, waiter } = holding
      const isDurable = options.durable === true
      if (isDurable && topic.ack !== "durable") {
        return yield* refused("durable", "true", `false: topic "${topic.name}" has ack "${topic.ack}", and no replicas`)
      }
      const end = delivered()
      if (end === undefined && options.position === undefined) return committed
      const position = yield* checkedPosition(options.position ?? end ?? committed, committed, end ?? committed)
      const lost = waiter.lost()
      if (lost !== undefined && lost.reason !== "stopped") return yield* Effect.fail(lost)
      const nowMillis = yield* Clock.currentTimeMillis
      const stamp = yield* held.commit({ position, nowMillis, isWanted: isDurable })
      if (stamp === "taken") return yield* Effect.fail(taken(topic.name, held, position))
      committed = Math.max(committed, position)
      if (isDurable) yield* waiter.until(() => held.isStored(stamp) ? true : undefined)
      return position
    })
}

// --- internal ---

const refused = (argument: string, given: string, range: string): Effect.Effect<never, ArgumentInvalid> =>
  Effect.fail(new ArgumentInvalid({ call: "commit", argument, given, range }))

const checkedPosition = (position: number, committed: number, delivered: number) =>
  Number.isSafeInteger(position) && position >= committed && position <= delivered
    ? Effect.succeed(position)
    : refused(
      "position",
      String(position),
      `from ${committed}, which is committed, to ${delivered}, where the next record is`
    )

const taken = (topic: string, held: HeldCursor, position: number): CursorTaken => {
  const now = held.look()
  return new CursorTaken({
    topic,
    cursor: held.name,
    position,
    ...now?.holder === undefined ? {} : { holder: now.holder },
    ...now?.position === undefined ? {} : { committed: now.position }
  })
}
