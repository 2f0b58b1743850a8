/**
 * Opens a replica's directory and the files of its topics, and refuses those of another log.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TopicState } from "../../../services/Diagnostics.ts"
import type { Disk } from "../../ports/Disk.ts"
import { openReplicaFiles } from "../openReplicaFiles.ts"
import { readReplicaFiles } from "../readReplicaFiles.ts"
import { type ReplicaDamaged, ReplicaForeign, type ReplicaOpenError, type ReplicaReadError } from "../ReplicaError.ts"
import type { ReplicaFiles, TopicBase, TopicFiles } from "../ReplicaFiles.ts"
import type { Manifest } from "../ReplicaManifest.ts"
import type { StoredTopic } from "../StoredTopic.ts"
import type { Member, ReplicaWork } from "./Member.ts"

/** The manifest of a directory; `undefined` while it holds no replica. */
export const manifestIn = (disk: Disk, dir: string): Effect.Effect<Manifest | undefined, ReplicaReadError> =>
  readReplicaFiles(disk, dir).pipe(
    Effect.map(({ manifest }): Manifest | undefined => manifest),
    Effect.catchTag("ReplicaMissing", () => Effect.succeed<Manifest | undefined>(undefined))
  )

/** Takes the directory's lock, and opens its files for writing; a new directory joins the log of the others. */
export const openMember = (
  { disk, lock, regionId }: ReplicaWork,
  { options: { dir, retention, segmentBytes, syncBytes }, peers }: Member
): Effect.Effect<ReplicaFiles, ReplicaOpenError, Scope.Scope> =>
  Effect.gen(function*() {
    const found = yield* manifestIn(disk, dir)
    const joined = found ?? (yield* manifestOfPeers(disk, peers, regionId))
    const files = yield* openReplicaFiles(disk, lock, dir, {
      logId: joined?.logId ?? regionId,
      segmentBytes,
      retention,
      stagingBytes: 2 * syncBytes
    })
    const { term } = files.manifest()
    if (term.region === regionId) return files
    if (found !== undefined) return yield* new ReplicaForeign({ dir, wanted: regionId, found: term.region })
    const { from, number } = joined?.term ?? term
    yield* files.setTerm(number, from, regionId)
    return files
  })

/** Opens the files of a topic: a new one's begin where the oldest records are that can still be had. */
export const openTopicFiles = (
  { disk }: ReplicaWork,
  { peers }: Member,
  files: ReplicaFiles,
  { ack, name, order, trimmedBatches, trimmedMessages }: TopicState
): Effect.Effect<TopicFiles, ReplicaReadError> =>
  Effect.gen(function*() {
    const stored = yield* storedByPeers(disk, peers, name)
    const memory: TopicBase = { index: trimmedBatches, position: trimmedMessages }
    const bases = yield* Effect.forEach(stored, (peer) => Effect.option(baseOf(peer, memory)))
    const oldest = bases.flatMap((base) => base._tag === "Some" ? [base.value] : [])
    const base = oldest.reduce((least, found) => found.index < least.index ? found : least, memory)
    return yield* openRepaired(files, name, { order, ack }, stored, base)
  })

/** Opens the files of a topic. What is damaged of them is repaired from those of another replica, if one has it. */
export const openRepaired = (
  files: ReplicaFiles,
  name: string,
  declared: { readonly order: string; readonly ack: string },
  stored: ReadonlyArray<StoredTopic>,
  base?: TopicBase
): Effect.Effect<TopicFiles, ReplicaReadError> => {
  const opening = files.topic(name, declared, base)
  return Effect.catchTag(
    opening,
    "ReplicaDamaged",
    (damage) => Effect.andThen(repair(files, name, stored, damage), opening)
  )
}

/** A topic as the other replicas have it, of those that can be read. */
export const storedByPeers = (
  disk: Disk,
  peers: ReadonlyArray<string>,
  topic: string
): Effect.Effect<ReadonlyArray<StoredTopic>> =>
  Effect.map(
    Effect.forEach(peers, (dir) => Effect.option(readReplicaFiles(disk, dir))),
    (found) =>
      found.flatMap((stored) => {
        const has = stored._tag === "Some" ? stored.value.topics.get(topic) : undefined
        return has === undefined ? [] : [has]
      })
  )

// --- internal ---

/** Where a copy of a peer's files begins; memory, where these have a gap to memory. */
const baseOf = (peer: StoredTopic, memory: TopicBase): Effect.Effect<TopicBase, ReplicaReadError> =>
  Effect.gen(function*() {
    const { end, start } = yield* peer.bounds
    return end.index < memory.index ? memory : { ...start, identities: yield* peer.startIdentities }
  })

const manifestOfPeers = (disk: Disk, peers: ReadonlyArray<string>, regionId: string) =>
  Effect.map(
    Effect.forEach(peers, (dir) => Effect.option(manifestIn(disk, dir))),
    (found) =>
      found.flatMap((manifest) => manifest._tag === "Some" && manifest.value !== undefined ? [manifest.value] : [])
        .find(({ term }) => term.region === regionId)
  )

// The first replica that has the damaged batches gives them; without one the damage stands.
const repair = (
  files: ReplicaFiles,
  topic: string,
  stored: ReadonlyArray<StoredTopic>,
  damage: ReplicaDamaged
): Effect.Effect<void, ReplicaReadError> => {
  const [peer, ...others] = stored
  if (peer === undefined) return Effect.fail(damage)
  return files.repairFrom(topic, peer).pipe(
    Effect.tap(({ records, segments }) =>
      Effect.logWarning(
        `${damage.file} was damaged: ${segments} segments with ${records} records are repaired from another replica`
      )
    ),
    Effect.asVoid,
    Effect.catchTag("ReplicaDamaged", () => repair(files, topic, others, damage))
  )
}
