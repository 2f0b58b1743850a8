/**
 * Connects a topic's files with the live log where memory holds what they lack, and otherwise with the files of another
 * replica.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { TopicState } from "../../../services/Diagnostics.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { TopicError } from "../../../services/schema/Topic.ts"
import { formatCount } from "../../../services/text/quantities.ts"
import type { Place, StoredReader } from "../StoredTopic.ts"
import type { Member, ReplicaWork } from "./Member.ts"
import { storedByPeers } from "./openMember.ts"
import type { TopicFollower } from "./TopicFollower.ts"

/** The files of a topic go on where the log has not come yet: they are those of another topic of that name. */
export class ReplicaDiverged extends Schema.TaggedError<ReplicaDiverged>()("ReplicaDiverged", {
  dir: Schema.String,
  topic: Schema.String,
  files: Schema.Number,
  log: Schema.Number
}) {
  override get message(): string {
    return `${this.dir} has ${formatCount(this.files)} batches of topic "${this.topic}", and the log only ${
      formatCount(this.log)
    }: they are those of another topic of that name (move its directory aside)`
  }
}

export const refuseDiverged = (
  dir: string,
  { committedBatches, committedMessages, name }: TopicState,
  { index, position }: Place
): Effect.Effect<void, ReplicaDiverged> =>
  index <= committedBatches && position <= committedMessages
    ? Effect.void
    : Effect.fail(new ReplicaDiverged({ dir, topic: name, files: index, log: committedBatches }))

/** Gives a follower that is not live a source, if there is one. All it has taken from a former one must be synced. */
export const connect = (
  work: ReplicaWork,
  member: Member,
  replicaId: string,
  follower: TopicFollower,
  state: TopicState
): Effect.Effect<void, ReplicaDiverged | RegionError | TopicError | RegionLost> =>
  Effect.gen(function*() {
    if (!follower.isSynced) return
    const { position } = follower.files.end()
    // A replica that was lapped first takes all that another one has: else it would hold up publishers at once.
    const isBehind = follower.isLapped && !follower.isAtPeersEnd && member.peers.length > 0
    if (!isBehind && position >= state.trimmedMessages && (yield* attach(work, member, replicaId, follower))) return
    if (!follower.hasPeer) yield* openPeer(work, member, follower, state)
  })

// --- internal ---

/** False when memory has trimmed the position meanwhile. */
const attach = (work: ReplicaWork, { options }: Member, replicaId: string, follower: TopicFollower) =>
  Effect.gen(function*() {
    const { index, position } = follower.files.end()
    const role = { required: work.required, key: keyOf(replicaId) }
    const opening = work.log.attach(follower.topic, { name: options.name, position, role })
    yield* follower.open(Effect.flatMap(opening, (live) =>
      live.next() === index
        ? Effect.succeed({ live })
        : Effect.fail(
          new ReplicaDiverged({ dir: options.dir, topic: follower.topic.name, files: index, log: live.next() })
        )))
    follower.isLapped = false
    follower.stuck = undefined
    return true
  }).pipe(Effect.catchTag("PositionTrimmed", () => Effect.succeed(false)))

/** The same over all processes that write the directory one after the other. */
const keyOf = (replicaId: string): number => {
  let low = 0x811c9dc5
  let high = 0x1b873593
  for (let i = 0; i < replicaId.length; i += 1) {
    low = Math.imul(low ^ replicaId.charCodeAt(i), 0x01000193) >>> 0
    high = Math.imul(high ^ low, 0x85ebca6b) >>> 0
  }
  return Math.max(1, (high & 0xffff) * 2 ** 32 + low)
}

const openPeer = (
  { disk }: ReplicaWork,
  { peers }: Member,
  follower: TopicFollower,
  state: TopicState
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { index, position } = follower.files.end()
    follower.isAtPeersEnd = false
    for (const stored of yield* storedByPeers(disk, peers, follower.topic.name)) {
      const bounds = yield* Effect.option(stored.bounds)
      if (bounds._tag === "None" || bounds.value.end.index <= index || bounds.value.start.index > index) continue
      const opened = yield* Effect.option(
        follower.open(Effect.map(stored.read(position), (peer): { readonly peer: StoredReader } => ({ peer })))
      )
      if (opened._tag === "None") continue
      follower.stuck = undefined
      return
    }
    if (position >= state.trimmedMessages) {
      follower.isAtPeersEnd = true
      return
    }
    follower.stuck =
      `topic "${follower.topic.name}": memory begins at record ${
        formatCount(state.trimmedMessages)
      }, and no other replica of this server has those from ${
        formatCount(position)
      } on (name one that has them, or begin `
      + "again with an empty directory)"
  })
