/**
 * Older records from the files of replicas: of each topic, from the first directory that has the position.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { HistoryUnreadable, PositionTrimmed } from "../../services/Subscriber.ts"
import type { Disk } from "../ports/Disk.ts"
import type { History, HistoryReader } from "../ports/History.ts"
import { readReplicaFiles } from "./readReplicaFiles.ts"
import { ReplicaForeign } from "./ReplicaError.ts"
import type { StoredTopic } from "./StoredTopic.ts"

/** `regionId`: the region whose log is read, which no other region ever is. */
export const historyOf = (disk: Disk, dirs: ReadonlyArray<string>, regionId: string): History => {
  const stored = (topic: string) =>
    Effect.map(
      Effect.forEach(dirs, (dir) => storedTopic(disk, dir, topic, regionId)),
      (found) => found.flatMap((one) => one === undefined ? [] : [one])
    )
  return {
    start: (topic) =>
      Effect.gen(function*() {
        const starts = yield* Effect.forEach(
          yield* stored(topic),
          ({ bounds }) => Effect.mapError(bounds, unreadable(topic, 0))
        )
        return starts.length === 0 ? undefined : Math.min(...starts.map(({ start }) => start.position))
      }),
    open: (topic, position) => Effect.flatMap(stored(topic), (found) => openFirst(topic, position, found))
  }
}

// --- internal ---

const storedTopic = (disk: Disk, dir: string, topic: string, regionId: string) =>
  Effect.gen(function*() {
    const files = yield* readReplicaFiles(disk, dir)
    const { region } = files.manifest.term
    if (region !== regionId) return yield* new ReplicaForeign({ dir, wanted: regionId, found: region })
    return files.topics.get(topic)
  }).pipe(Effect.mapError(unreadable(topic, 0)))

const openFirst = (
  topic: string,
  position: number,
  stored: ReadonlyArray<StoredTopic>
): Effect.Effect<HistoryReader, HistoryUnreadable | PositionTrimmed, Scope.Scope> =>
  Effect.gen(function*() {
    let least = Infinity
    for (const one of stored) {
      const { end, start } = yield* Effect.mapError(one.bounds, unreadable(topic, position))
      least = Math.min(least, start.position)
      if (position < start.position || position > end.position) continue
      const reader = yield* Effect.mapError(one.read(position), unreadable(topic, position))
      return {
        next: reader.next,
        pull: Effect.mapError(reader.pull, (error) => unreadable(topic, reader.next().position)(error))
      }
    }
    if (least < Infinity) return yield* new PositionTrimmed({ topic, requested: position, start: least })
    return yield* new HistoryUnreadable({
      topic,
      position,
      detail: "none of the directories has that topic",
      nextStep: "name the directory of a replica of this log"
    })
  })

const unreadable = (topic: string, position: number) => (error: Error): HistoryUnreadable =>
  new HistoryUnreadable({
    topic,
    position,
    detail: error.message,
    nextStep: "name the directory of another replica of this log"
  })
