/**
 * How much of a durable topic is on disks: what its attached replicas have released.
 */
import type { TopicBounds } from "../../../services/Subscriber.ts"
import type { HeapTopic } from "./LogState.ts"

/** How many replicas must have a record before it is acknowledged: as many as the server or an attached one says, at least 1. */
export const requiredOf = ({ copies, readers }: HeapTopic): number =>
  readers.reduce((most, reader) => Math.max(most, reader?.replica?.required ?? 0), Math.max(1, copies))

/** The batches below are on the disks of the required replicas; -1 while fewer are attached. */
export const durableIndexOf = (topic: HeapTopic): number => {
  const cursors = new Map<number, number>()
  for (const reader of topic.readers) {
    if (reader?.replica === undefined) continue
    const { key } = reader.replica
    cursors.set(key, Math.max(cursors.get(key) ?? 0, reader.cursor))
  }
  return [...cursors.values()].toSorted((a, b) => b - a)[requiredOf(topic) - 1] ?? -1
}

/** The records of the batches below that index; `undefined` when it lies below the kept ones. */
export const recordsBelow = (topic: HeapTopic, index: number): number | undefined => {
  if (index >= topic.committedBatches) return topic.committedMessages
  return index < topic.trimmed ? undefined : topic.entry(index)?.firstPosition
}

/** What a process has seen of {@link durableIndexOf}: it never falls there, when a replica leaves or attaches again. */
export class DurableIndex {
  readonly #topic: HeapTopic
  #seen = -1

  constructor(topic: HeapTopic) {
    this.#topic = topic
  }

  look(): number {
    return this.#seen = Math.max(this.#seen, durableIndexOf(this.#topic))
  }
}

export const boundsIn = (topic: HeapTopic): TopicBounds => {
  const bounds = { start: topic.trimmedMessages, end: topic.committedMessages }
  if (!topic.isDurable) return bounds
  const batches = durableIndexOf(topic)
  return { ...bounds, durable: batches < 0 ? undefined : recordsBelow(topic, batches) }
}

/** Notes what replicas have now: it may be trimmed, also when they leave. */
export const noteSynced = (topic: HeapTopic): void => {
  for (const reader of topic.readers) {
    if (reader?.replica !== undefined) topic.synced = Math.max(topic.synced, reader.cursor)
  }
}
