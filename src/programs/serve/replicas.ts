/**
 * The flags for replicas, and their events as lines: the log on disk.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import { defaultSegmentBytes, defaultSyncBytes, defaultSyncMillis } from "../../layers/files/replica/replicaOptions.ts"
import type * as Log from "../../layers/Log.ts"
import { Replica, type ReplicaEvent, type ReplicaOptions } from "../../services/Replica.ts"
import { directoriesFlag } from "../cli/directories.ts"
import { printEvent } from "../cli/report.ts"
import { openSetting, setting, type ValuesOf } from "../cli/settings.ts"
import { ageFlag, bytesFlag, countFlag, formatBytes, millisFlag, plural, writtenMillis } from "../cli/units.ts"

const sizeFlag = (name: string): Flag.Flag<number> =>
  Flag.filter(bytesFlag(name), (bytes) => bytes >= 4096, () => "at least 4KiB")

/** How a replica writes its files. */
export const fileSettings = {
  syncBytes: setting("replica-sync-bytes", sizeFlag, {
    description: "Bytes that wait to be synced at which a replica syncs at once",
    fallback: defaultSyncBytes,
    show: formatBytes
  }),
  syncMillis: setting("replica-sync-interval", millisFlag, {
    description: "How long a record may wait for others that a replica syncs with it",
    fallback: defaultSyncMillis,
    show: writtenMillis
  }),
  segmentBytes: setting("replica-segment-bytes", sizeFlag, {
    description: "The size of a replica's segment files",
    fallback: defaultSegmentBytes,
    show: formatBytes
  }),
  keepBytes: openSetting("replica-keep-bytes", sizeFlag, {
    description: "What a replica keeps of each topic, in whole segments: the oldest go first",
    shown: "all"
  }),
  keepMillis: openSetting("replica-keep-age", ageFlag, {
    description: "How long a replica keeps records of each topic, in whole segments, by the time of their commit",
    shown: "for ever"
  })
}

export const replicaSettings = {
  ...fileSettings,
  restore: openSetting("restore", (name) => Flag.withMetavar(Flag.String(name), "directory"), {
    description: "Restore a log whose memory is lost from this replica, which goes on with it",
    shown: "none"
  }),
  durableCopies: openSetting("durable-copies", (name) => countFlag(name, 255), {
    description:
      "How many replicas must have synced a record before it is acknowledged; more than these counts those of "
      + "`ringfence replica`",
    shown: "all of these"
  })
}

/** Any number of directories. */
export const replicasFlag = directoriesFlag(
  "replica",
  "Write the topics with ack durable to files in this directory, too"
)

export const replicasOf = (
  dirs: ReadonlyArray<string>,
  { durableCopies, restore, ...files }: ValuesOf<typeof replicaSettings>
): Pick<Log.ServeOptions, "replicas" | "durableCopies" | "restore"> => {
  // The one that is restored from goes on with the log, whether it is named again or not.
  const others = restore === undefined ? dirs : dirs.filter((dir) => resolve(dir) !== resolve(restore))
  const all = restore === undefined ? others : [restore, ...others]
  return { restore, replicas: all.map((dir) => replicaOf(dir, files)), durableCopies }
}

export const replicaOf = (
  dir: string,
  { keepBytes, keepMillis, segmentBytes, syncBytes, syncMillis }: ValuesOf<typeof fileSettings>
): ReplicaOptions => ({
  dir,
  syncBytes,
  syncInterval: syncMillis,
  segmentBytes,
  retention: { bytes: keepBytes, age: keepMillis }
})

/** Prints the conditions of this process's replicas now, and each change. */
export const tellingReplicas = (json: boolean, program: string): Effect.Effect<void, never, Replica> =>
  Effect.gen(function*() {
    const { events, states } = yield* Replica
    const now = Effect.map(
      states,
      (all) => all.map(({ condition, detail, dir }) => ({ _tag: "ReplicaChanged" as const, dir, condition, detail }))
    )
    yield* Stream.merge(Stream.fromIterableEffect(now), events).pipe(
      Stream.runForEach((event) => Effect.ignore(printEvent(json, program, event, describeReplica)))
    )
  })

export const describeReplica = ({ condition, detail, dir }: ReplicaEvent): string =>
  `replica ${dir}: ${condition}${detail === "" ? "" : `: ${detail}`}`

/** A lost log is restored, and about to be served. */
export interface RestoredEvent extends Log.Restored {
  readonly _tag: "Restored"
}

export const describeRestored = ({ dir, term, topics }: RestoredEvent): string => {
  const each = topics.map(({ cursors, identities, records, topic }) =>
    `"${topic}" with ${plural(records, "record")}, ${plural(identities, "identity", "identities")}, ${
      plural(cursors, "cursor")
    }`
  )
  return `restored from ${dir}, term ${term}: ${each.length === 0 ? "no topics" : each.join("; ")}`
}
