/**
 * Named cursors in this heap: each step is one, as if under the lock of the cursor's slot.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { CursorState } from "../../../services/Diagnostics.ts"
import { cursorsFull, type RegionError } from "../../../services/schema/RegionError.ts"
import type * as Topic from "../../../services/schema/Topic.ts"
import { formatCount } from "../../../services/text/quantities.ts"
import { cursorState } from "../../log/cursor/cursorState.ts"
import { notRestored } from "../../log/restoring.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import {
  type AsHolder,
  type CursorLook,
  type CursorRequest,
  type CursorView,
  type HeldCursor,
  isExpired,
  type TakeCursor
} from "../../ports/CursorPort.ts"
import type { StoredCursor } from "../../ports/ReplicatedLog.ts"
import { requiredOf } from "./Durability.ts"
import { type Heap, HeapCursor, type HeapTopic } from "./LogState.ts"
import { inOnePiece, placeOf } from "./Topics.ts"

export const takeCursor = (heap: Heap): TakeCursor => (topic, request, { mustExist }) =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, mustExist)
      const cursor = cursorNamed(heap, declared, request) ?? (yield* nameCursor(heap, declared, request))
      const { holder } = viewOf(cursor)
      if (holder !== undefined && !request.takeOver) {
        return { heldBy: `cursor "${request.name}" is held by process "${holder.name}" (pid ${holder.pid})` }
      }
      cursor.holding += 1
      cursor.isHeld = true
      cursor.expiresMillis = request.expiresMillis
      touch(cursor, request.nowMillis)
      return heldCursor(heap, cursor)
    }))

/** The cursors of a topic. */
export const cursorsIn = (heap: Heap, topic: string): CursorLook => ({
  stamp: heap.cursorCommits + 0.5,
  cursors: heap.cursors.filter((cursor) => heap.topics.includes(cursor.topic) && cursor.topic.name === topic).map(
    viewOf
  ),
  isDamaged: false
})

export const viewOf = (cursor: HeapCursor): CursorView => ({
  name: cursor.name,
  position: cursor.committed,
  holder: cursor.isHeld ? { name: processTitle(), pid: process.pid } : undefined,
  touchedMillis: cursor.touchedMillis,
  expiresMillis: cursor.expiresMillis,
  wantedStamp: cursor.wantedStamp,
  change: `${cursor.holding}:${cursor.changes}`
})

export const cursorStates = (heap: Heap): ReadonlyArray<CursorState> =>
  heap.cursors.filter(({ topic }) => heap.topics.includes(topic))
    .map((cursor) => cursorState(cursor.topic.name, viewOf(cursor)))

/** Names a cursor without a holder. */
export const restoreCursor = (
  heap: Heap,
  topic: Topic.Topic<any>,
  { expiresMillis, name, position, touchedMillis }: StoredCursor,
  nowMillis: number
): Effect.Effect<void, Topic.TopicError | RegionError> =>
  inOnePiece(topic, () =>
    Result.gen(function*() {
      const declared = yield* placeOf(heap, topic, true)
      const request = { name, expiresMillis, nowMillis, takeOver: false }
      if (cursorNamed(heap, declared, request) !== undefined) {
        return yield* Result.fail(notRestored(heap.region, `cursor "${name}" of topic "${topic.name}"`))
      }
      const cursor = yield* nameCursor(heap, declared, request)
      cursor.committed = position
      cursor.expiresMillis = expiresMillis
      cursor.touchedMillis = touchedMillis
    }))

// --- internal ---

const cursorNamed = (heap: Heap, topic: HeapTopic, { name, nowMillis }: CursorRequest): HeapCursor | undefined =>
  heap.cursors.find((cursor) => cursor.topic === topic && cursor.name === name && !isExpired(viewOf(cursor), nowMillis))

/** A new cursor, still without a holder. */
const nameCursor = (
  heap: Heap,
  topic: HeapTopic,
  { name, nowMillis }: CursorRequest
): Result.Result<HeapCursor, RegionError> => {
  const present = heap.cursors.filter((cursor) =>
    heap.topics.includes(cursor.topic) && !isExpired(viewOf(cursor), nowMillis)
  )
  const places = 4 * heap.geometry.clients
  if (present.length >= places) {
    const detail = `all ${formatCount(places)} cursors of the region are in use, and none of them has expired`
    return Result.fail(cursorsFull(heap.region, detail))
  }
  const cursor = new HeapCursor(topic, name)
  heap.cursors = [...present, cursor]
  return Result.succeed(cursor)
}

const touch = (cursor: HeapCursor, nowMillis: number): void => {
  cursor.touchedMillis = nowMillis
  cursor.changes += 1
}

const heldCursor = (heap: Heap, cursor: HeapCursor): HeldCursor => {
  const { committed, holding, name, topic } = cursor
  const asHolder = <A>(change: () => A): AsHolder<A> =>
    Effect.sync(() => cursor.holding === holding && heap.cursors.includes(cursor) ? change() : "taken")
  return {
    name,
    committed,
    commit: ({ isWanted, nowMillis, position }) =>
      asHolder(() => {
        cursor.committed = Math.max(cursor.committed ?? 0, position)
        touch(cursor, nowMillis)
        heap.cursorCommits += 1
        if (isWanted) {
          cursor.wantedStamp = heap.cursorCommits
          heap.members.ring()
        }
        return heap.cursorCommits
      }),
    touch: (nowMillis) => asHolder(() => touch(cursor, nowMillis)),
    leave: (nowMillis) =>
      asHolder(() => {
        cursor.isHeld = false
        touch(cursor, nowMillis)
        heap.members.ring()
      }),
    isStored: (stamp) => replicasWith(topic, stamp) >= requiredOf(topic),
    look: () => heap.cursors.includes(cursor) ? viewOf(cursor) : undefined
  }
}

/** How many replicas have in their files what cursors said up to that stamp. */
const replicasWith = ({ readers }: HeapTopic, stamp: number): number =>
  new Set(
    readers.flatMap((reader) =>
      reader?.replica !== undefined && reader.storedCursors > stamp ? [reader.replica.key] : []
    )
  ).size
