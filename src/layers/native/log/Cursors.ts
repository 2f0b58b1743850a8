/**
 * Named cursors in shared memory. Each is written under the lock of its slot, which is tried again for three seconds while
 * another process holds it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { isFault, type NativeCursor } from "../../../native/binding.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import { cursorsFull, RegionError } from "../../../services/schema/RegionError.ts"
import { type Topic, type TopicError, TopicUnknown } from "../../../services/schema/Topic.ts"
import { notRestored } from "../../log/restoring.ts"
import type { AsHolder, CursorLook, CursorView, HeldCursor, TakeCursor } from "../../ports/CursorPort.ts"
import type { StoredCursor } from "../../ports/ReplicatedLog.ts"
import { claiming } from "../region/Claiming.ts"
import { attempt } from "../region/NativeError.ts"
import type { ClientRegion } from "./ClientRegion.ts"
import { openTopicOfLog, whileFreeing } from "./Topics.ts"

type Region = ClientRegion

export const takeCursor = (region: Region): TakeCursor => (topic, request, { mustExist }) =>
  whileFreeing(region, `topic "${topic.name}" is being freed`, () =>
    Effect.gen(function*() {
      const place = yield* openTopicOfLog(region, topic, mustExist)
      const { expiresMillis, name, nowMillis, takeOver } = request
      const hold = () =>
        region.handle.holdCursor(place.index, place.generation, name, expiresMillis, nowMillis, takeOver)
      const taken = yield* claiming(region, () => outcomeOf(hold, ["held", "gone", "recovering"])).pipe(
        whenCursorsFull
      )
      if (Result.isSuccess(taken)) return heldCursor(region, taken.success)
      return taken.failure.fault === "held" ? { heldBy: taken.failure.message } : undefined
    }))

/** The cursors of a topic, without those whose slots were damaged. */
export const cursorsIn = ({ handle }: Pick<Region, "handle">, topic: string): CursorLook => {
  const { cursors, damaged, micros } = handle.cursors()
  if (cursors.length === 0) return { stamp: micros, cursors: [], isDamaged: damaged > 0 }
  const place = handle.topics().find(({ name }) => name === topic)
  const own = cursors.filter((one) => one.topic === place?.index && one.topicGeneration === place.generation)
  return { stamp: micros, cursors: own.map(viewOf), isDamaged: damaged > 0 }
}

export const viewOf = (cursor: NativeCursor): CursorView => ({
  name: cursor.name,
  position: cursor.position < 0 ? undefined : cursor.position,
  holder: cursor.held ? { name: cursor.process, ...processIdOf(cursor) } : undefined,
  touchedMillis: cursor.touchedMillis,
  expiresMillis: cursor.expiresMillis,
  wantedStamp: cursor.wantedMicros,
  change: `${cursor.index}:${cursor.holding}:${cursor.changes}`
})

/** Names a cursor without a holder. */
export const restoreCursor = (
  region: Region,
  topic: Topic<any>,
  { expiresMillis, name, position, touchedMillis }: StoredCursor,
  nowMillis: number
): Effect.Effect<void, TopicError | RegionError> =>
  Effect.gen(function*() {
    const known = yield* attempt(region.info.name, () => region.handle.topics())
    const there = known.find((found) => found.name === topic.name)
    if (there === undefined) return yield* new TopicUnknown({ topic: topic.name, known: known.map(({ name }) => name) })
    const { generation, index } = there
    yield* claiming(region, () =>
      region.handle.restoreCursor(index, generation, name, expiresMillis, nowMillis, position, touchedMillis)).pipe(
        whenCursorsFull,
        Effect.mapError((error) =>
          error.fault === "invalid"
            ? notRestored(region.info.name, `cursor "${name}" of topic "${topic.name}"`)
            : error
        )
      )
  })

// --- internal ---

const whenCursorsFull = <A, E, R>(taking: Effect.Effect<A, E | RegionError, R>): Effect.Effect<A, E | RegionError, R> =>
  Effect.mapError(
    taking,
    (error) => error instanceof RegionError && error.fault === "full" ? cursorsFull(error.region, error.detail) : error
  )

/** The value, or the fault if it is one of those that are outcomes here, and not faults of the memory. */
const outcomeOf = <A>(
  call: () => A,
  outcomes: ReadonlyArray<string>
): Result.Result<A, { readonly fault: string; readonly message: string }> => {
  try {
    return Result.succeed(call())
  } catch (error) {
    if (isFault(error) && outcomes.includes(error.fault)) return Result.fail(error)
    throw error
  }
}

const heldCursor = (region: Region, cursor: NativeCursor): HeldCursor => {
  const { holding, index, name, position, topic } = cursor
  const asHolder = <A>(call: () => A): AsHolder<A> =>
    Effect.flatMap(
      claiming(region, () => outcomeOf(call, ["fenced", "gone", "recovering"])),
      (outcome): AsHolder<A> => {
        if (Result.isSuccess(outcome)) return Effect.succeed(outcome.success)
        const { fault } = outcome.failure
        if (fault === "fenced") return Effect.succeed("taken")
        if (fault === "gone") return Effect.fail(topicGone(region, name))
        // Whether the topic is still there is known once another process has taken the log over.
        return Effect.andThen(
          Effect.ignore(region.waiter.untilServedOrLost),
          Effect.suspend(() => {
            const lost = region.waiter.lost()
            return lost === undefined ? asHolder(call) : Effect.fail(notServed(region, lost.message))
          })
        )
      }
    )
  return {
    name,
    committed: position < 0 ? undefined : position,
    commit: ({ isWanted, nowMillis, position }) =>
      asHolder(() => region.handle.commitCursor(index, holding, position, nowMillis, isWanted)),
    touch: (nowMillis) => asHolder(() => void region.handle.touchCursor(index, holding, nowMillis)),
    leave: (nowMillis) => asHolder(() => void region.handle.leaveCursor(index, holding, nowMillis)),
    isStored: (stamp) => region.handle.cursorsStored(topic, stamp),
    look: () => {
      const found = region.handle.cursors().cursors.find((one) => one.index === index && one.name === name)
      return found === undefined ? undefined : viewOf(found)
    }
  }
}

const topicGone = ({ info }: Region, cursor: string): RegionError =>
  new RegionError({
    fault: "missing",
    region: info.name,
    detail: `the topic of cursor "${cursor}" was freed, and the cursor with it`,
    hint: "open the subscriber again"
  })

const notServed = ({ info }: Region, detail: string): RegionError =>
  new RegionError({ fault: "notServing", region: info.name, detail, hint: "open the subscriber again" })
